"""A program of XDP that does one thing with every frame, but for ARP's where that is said.

``python -m tests.live.xdp DEVICE native|generic ACTION [all]``, in the namespace of the device: it
stays at the device until that is gone.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

from netlab.trace.bpf import calls
from netlab.trace.bpf.assembler import R0, R1, R2, R3, R4, Code

XDP = 6
"""``BPF_PROG_TYPE_XDP``."""
ACTIONS = {"abort": 0, "drop": 1, "pass": 2, "unknown": 77}
MODES = {"generic": 1 << 1, "native": 1 << 2}
"""``XDP_FLAGS_SKB_MODE``, ``XDP_FLAGS_DRV_MODE``."""
RTM_SETLINK, IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS = 19, 43, 1, 3
NLM_F_REQUEST_ACK, NLA_F_NESTED = 5, 1 << 15
DATA, DATA_END = 0, 4
"""Of ``struct xdp_md``."""
ARP = int.from_bytes(b"\x08\x06", sys.byteorder)
"""Its number, as a header of Ethernet lies in memory."""


def program(action: int, *, with_arp: bool = False) -> bytes:
    """Without ARP nobody is found."""
    code = Code()
    code.load(4, R2, R1, DATA)
    code.load(4, R3, R1, DATA_END)
    code.set(R4, R2)
    code.add(R4, 14)
    code.set(R0, ACTIONS["pass"])
    code.jump_if(R4, ">", R3, "out")
    code.load(2, R4, R2, 12)
    if not with_arp:
        code.jump_if(R4, "==", ARP, "out")
    code.set(R0, action)
    code.label("out")
    code.exit()
    return bytes(code)


def attach(device: str, mode: str, action: str, whom: str = "") -> None:
    fd = calls.load_program(XDP, program(ACTIONS[action], with_arp=whom == "all"), "test_xdp")
    held = _attribute(IFLA_XDP_FD, struct.pack("=i", fd))
    held += _attribute(IFLA_XDP_FLAGS, struct.pack("=I", MODES[mode]))
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(device), 0, 0)
    body += _attribute(IFLA_XDP | NLA_F_NESTED, held)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        head = struct.pack("=IHHII", 16 + len(body), RTM_SETLINK, NLM_F_REQUEST_ACK, 1, 0)
        sock.send(head + body)
        (refused,) = struct.unpack_from("=i", sock.recv(4096), 16)
    if refused:
        raise OSError(-refused, os.strerror(-refused))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data


if __name__ == "__main__":
    attach(*sys.argv[1:])
