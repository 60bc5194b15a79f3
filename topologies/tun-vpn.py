"""A tunnel in user space: packets of tun0 in UDP datagrams. No encryption, so that one can watch.

    python3 tun-vpn.py ADDRESS:PORT [PEER:PORT]

Without a peer it answers to whoever spoke last. It ends on SIGTERM.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def open_tun(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def carry(tun: int, udp: socket.socket, peer: tuple[str, int] | None) -> None:
    while True:
        ready, _, _ = select.select([tun, udp], [], [])
        if tun in ready and peer is not None:
            udp.sendto(os.read(tun, 65535), peer)
        elif tun in ready:
            os.read(tun, 65535)
        if udp in ready:
            packet, peer = udp.recvfrom(65535)
            os.write(tun, packet)


if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(endpoint(sys.argv[1]))
        tun = open_tun("tun0")
        print("tunnel is open", flush=True)
        carry(tun, udp, endpoint(sys.argv[2]) if len(sys.argv) > 2 else None)
