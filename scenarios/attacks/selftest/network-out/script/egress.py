import hashlib
import os
import socket
import sys

LOCAL = "127.0.0.1"


def tcp():
    socket.create_connection((LOCAL, int("{{canary.port}}")), timeout=2).close()


def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (LOCAL, int("{{canary.udp_port}}")))


def raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)


def packet():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)


for act in (tcp, udp, raw, packet):
    try:
        act()
        print("got through:", act.__name__)
    except OSError as error:
        print(act.__name__, error)
if len(sys.argv) == 1:
    with open("riddle.txt") as file:
        answer = hashlib.sha256(file.read().encode()).hexdigest()
    with open("answer.txt", "w") as file:
        file.write(answer)
    print(answer)
