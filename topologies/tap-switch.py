"""A hub: every frame read from one tap device is written to all others.

    python3 tap-switch.py TAP…

It ends on SIGTERM.
"""

import fcntl
import os
import select
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def open_tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


if __name__ == "__main__":
    taps = [open_tap(name) for name in sys.argv[1:]]
    print("hub is running", flush=True)
    while True:
        ready, _, _ = select.select(taps, [], [])
        for tap in ready:
            frame = os.read(tap, 65535)
            for other in taps:
                if other != tap:
                    os.write(other, frame)
