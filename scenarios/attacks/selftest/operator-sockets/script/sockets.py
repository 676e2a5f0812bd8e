import socket

for name, kind in [("{{canary.socket}}", "socket"), ("{{canary.tmp_socket}}", "socket in /tmp"), ("\0{{canary.abstract}}", "abstract")]:
    try:
        socket.socket(socket.AF_UNIX).connect(name)
        print("got through:", kind)
    except OSError as error:
        print(kind, error)
