"""Three ICMP echo requests (RFC 792), for machines that have no `ping`.

    python3 echo.py HOST
"""

import os
import socket
import struct
import sys
import time

REQUEST, REPLY = 8, 0
TTL = 8
"""Where an IPv4 header has it."""


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def request(mark: int, number: int) -> bytes:
    header = struct.pack("!BBHHH", REQUEST, 0, 0, mark, number)
    return struct.pack("!BBHHH", REQUEST, 0, checksum(header), mark, number)


def answer(raw: socket.socket, mark: int, number: int) -> tuple[str, int]:
    """Who answered, and with which TTL. Raises TimeoutError."""
    while True:
        packet, (sender, _) = raw.recvfrom(2048)
        header = (packet[0] & 0xF) * 4
        kind, _, _, its_mark, its_number = struct.unpack_from("!BBHHH", packet, header)
        if (kind, its_mark, its_number) == (REPLY, mark, number):
            return sender, packet[TTL]


if __name__ == "__main__":
    name = sys.argv[1]
    address, mark = socket.gethostbyname(name), os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(2)
        for number in range(1, 4):
            start = time.perf_counter()
            raw.sendto(request(mark, number), (address, 0))
            try:
                sender, ttl = answer(raw, mark, number)
            except TimeoutError:
                sys.exit(f"no answer from {name} ({address})")
            passed = (time.perf_counter() - start) * 1000
            print(f"echo reply {number} from {name} ({sender}): ttl {ttl}, {passed:.2f} ms")
