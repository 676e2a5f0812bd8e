import os

for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
    for name in ("environ", "maps", "mem"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                found = file.read(65536)
        except OSError as error:
            print(pid, name, error)
            continue
        if b"GT_ROLE=south/" in found or b"GT_ROLE=mayor" in found:
            print("got through:", pid, name)
