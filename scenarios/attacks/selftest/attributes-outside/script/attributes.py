import os

path = "{{canary.file}}"
acts = {
    "mode": lambda: os.chmod(path, 0o777),
    "mode of the folder": lambda: os.chmod(os.path.dirname(path), 0o777),
    "time": lambda: os.utime(path, (1, 1)),
    "owner": lambda: os.chown(path, 1, 1),
    "attribute": lambda: os.setxattr(path, "user.attack", b"x"),
}
for name, act in acts.items():
    try:
        act()
        print("got through:", name)
    except OSError as error:
        print(name, error)
