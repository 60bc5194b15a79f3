"""Packets of one device through memory shared with the kernel: TPACKET_V3 (packet_mmap).

The ring is cut into blocks. The kernel fills one after the other, and hands a block over when it is
full, or when ``RETIRE`` has passed and there is something in it. Where all are handed over and none
has been given back, what comes is lost, and counted.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
import time
from collections.abc import Sequence

from netlab.errors import KernelRefused, MachineLacks
from netlab.kernel import capabilities, libc

BLOCK = 128 << 10
"""Bytes: the largest packet has to fit into one, and 64 KiB come in one piece (GSO)."""

RETIRE = 50
"""Milliseconds until a block that is not full is handed over."""

HOST, BROADCAST, MULTICAST, OTHER, OUTGOING = range(5)
"""Whom a packet is for, as packet(7) numbers them; an outgoing one may be for anybody."""

# linux/if_ether.h, linux/if_packet.h, linux/filter.h
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
TPACKET_V3 = 2
TP_STATUS_USER = 1
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
SO_ATTACH_FILTER = 26
ETH_P_8021Q = 0x8100

_BLOCK = struct.Struct("=8x4I")
"""``struct tpacket_block_desc``: its status, packets in it, offset of the first, bytes in use."""
_AT_STATUS, _AT_COUNT = 8, 12
_FRAME = struct.Struct("=6I2H4xIH20xB")
"""``struct tpacket3_hdr``, and of the ``struct sockaddr_ll`` behind it whom the packet is for."""
_REQUEST = struct.Struct("=7I")
_INSTRUCTION = struct.Struct("=HBBI")
_TAG = struct.Struct(">HH")
_MACS = 12
_NONE = b"\0\0\0\0"

Instruction = tuple[int, int, int, int]
"""Of classic BPF: code, jump if true, jump if false, operand."""

NOTHING: list[Instruction] = [(0x06, 0, 0, 0)]
"""``ret #0``."""

Frame = tuple[int, int, int, int, bytes]
"""A packet: nanoseconds since the epoch, the ring's number, whom it is for, length, data.

Of its bytes, ``length`` in number, ``data`` may hold only the first. A VLAN tag that the kernel
keeps beside the packet is back in its place.
"""


def packet_socket() -> socket.socket:
    """Of the namespace that the calling thread stands in; nothing comes yet. Raises KernelRefused.

    Raises MachineLacks where the kernel has none.
    """
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except OSError as problem:
        if problem.errno == errno.EAFNOSUPPORT:
            lacks = "the kernel has no packet sockets"
            raise MachineLacks(lacks, hint="CONFIG_PACKET") from problem
        raise _refusal(problem, "a packet socket", 0) from problem


class Ring:
    """A device's packets from now on. To make one and to close one take the kernel 10 to 40 ms."""

    def __init__(
        self,
        number: int,
        sock: socket.socket,
        device: str,
        program: Sequence[Instruction],
        blocks: int,
    ) -> None:
        """``sock`` becomes the ring's own, also where it fails. Raises KernelRefused.

        ``number``: by which the frames tell the ring; ``device``: of the socket's namespace;
        ``program``: what tells how many bytes of a packet are kept, 0 for none.
        """
        self.number, self.device = number, device
        self.latest = time.time_ns()
        """When the last one of its frames was seen; none to come is older."""
        self._blocks, self._next = blocks, 0
        self._received = self._dropped = 0
        self._socket = sock
        try:
            # before it is bound, so that nothing comes past the filter
            _attach(sock, program)
            sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
            room = _REQUEST.pack(BLOCK, blocks, BLOCK, blocks, RETIRE, 0, 0)
            libc.setsockopt(sock.fileno(), SOL_PACKET, PACKET_RX_RING, room)
            self._map = mmap.mmap(sock.fileno(), BLOCK * blocks)
            sock.bind((device, ETH_P_ALL))
        except OSError as problem:
            sock.close()
            raise _refusal(problem, device, blocks) from problem
        except KernelRefused:
            sock.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self, found: list[Frame], blocks: int) -> None:
        """Add what the kernel has handed over, so many blocks at most; does not wait."""
        for _ in range(blocks):
            start = self._next * BLOCK
            status, count, first, used = _BLOCK.unpack_from(self._map, start)
            if not status & TP_STATUS_USER:
                return
            block = self._map[start : start + used]
            # the count first: from its status on the block is the kernel's
            self._map[start + _AT_COUNT : start + _AT_COUNT + 4] = _NONE
            self._map[start + _AT_STATUS : start + _AT_STATUS + 4] = _NONE
            self._next = (self._next + 1) % self._blocks
            _read(block, first, count, self.number, found)
            self.latest = max(self.latest, found[-1][0])

    @property
    def has_more(self) -> bool:
        """Whether there are packets that ``take`` will give, now or when their block is due."""
        _, count, _, _ = _BLOCK.unpack_from(self._map, self._next * BLOCK)
        return bool(count)

    @property
    def is_bound(self) -> bool:
        """Whether the device is still there; one that has come back under its name is another."""
        return bool(self._socket.getsockname()[0])

    def forgive(self) -> None:
        """The kernel tells that the device went down or away; it comes back by itself, or not."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def counts(self) -> tuple[int, int]:
        """Packets that came, and how many of them were lost for lack of room."""
        said = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12)
        came, lost, _ = struct.unpack("=3I", said)  # since it was last asked
        self._received += came
        self._dropped += lost
        return self._received, self._dropped

    def stop(self) -> None:
        """No more packets come; those that have are still to be taken."""
        _attach(self._socket, NOTHING)

    def close(self) -> None:
        self._map.close()
        self._socket.close()


def _attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    code = b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
    held = ctypes.create_string_buffer(code)
    told = struct.pack("@HP", len(program), ctypes.addressof(held))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, told)
    except OSError as problem:
        if problem.errno != errno.ENOMEM:
            raise
        said = "the filter is longer than a socket may hold"
        raise KernelRefused(said, errno=errno.ENOMEM, said=said, hint="see the sysctl "
                            "net.core.optmem_max") from problem  # fmt: skip


def _refusal(problem: OSError, device: str, blocks: int) -> KernelRefused:
    said = problem.strerror or ""
    hint = {
        errno.ENOMEM: f"each interface asks for {blocks * BLOCK >> 10} KiB; name those you need",
        errno.EPERM: capabilities.NO_RAW,
        errno.EMFILE: "too many interfaces for `ulimit -n`; name those you need",
    }.get(problem.errno or 0, "")
    told = f"{device}: the kernel refused: {said}"
    return KernelRefused(told, errno=problem.errno or 0, said=said, hint=hint)


def _read(block: bytes, at: int, count: int, number: int, found: list[Frame]) -> None:
    unpack, add = _FRAME.unpack_from, found.append
    for _ in range(count):
        step, seconds, rest, kept, length, status, mac, _, tag, kind, to = unpack(block, at)
        data = block[at + mac : at + mac + kept]
        if status & TP_STATUS_VLAN_VALID:
            kind = kind if status & TP_STATUS_VLAN_TPID_VALID else ETH_P_8021Q
            data = data[:_MACS] + _TAG.pack(kind, tag) + data[_MACS:]
            length += _TAG.size
        add((seconds * 1_000_000_000 + rest, number, to, length, data))
        at += step
