"""bpf(2): maps, programs with the verifier's words, and what they are attached to (linux/bpf.h)."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351}
_NUMBERS |= {"ppc64le": 361, "ppc64": 361, "i686": 357, "armv7l": 386}
_ATTRIBUTES = 152
"""Bytes of ``union bpf_attr`` that are passed; what a kernel does not know has to be zero."""

MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, PROG_LOAD = 0, 1, 2, 5
RAW_TRACEPOINT_OPEN, MAP_FREEZE, LINK_CREATE = 17, 22, 28

HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, RINGBUF = 1, 2, 6, 9, 27
"""Types of maps."""

RAW_TRACEPOINT, NETFILTER = 17, 32
"""Types of programs."""

READ_ONLY = 1 << 7
"""``BPF_F_RDONLY_PROG``: programs cannot write to the map."""

ATTACH_NETFILTER = 45
"""``BPF_NETFILTER`` of ``enum bpf_attach_type``."""

LICENSE: Final = b"Dual MIT/GPL\0"
"""Of the programs: reading the kernel's memory is for those that may be used under the GPL."""

VERIFIER_LOG = 1 << 20
"""Bytes."""

_libc = ctypes.CDLL(None, use_errno=True)


class BpfRefused(OSError):
    """What the kernel said no to; ``log`` is the verifier's reasoning, where there is one."""

    def __init__(self, number: int, what: str, log: str = "") -> None:
        super().__init__(number, f"{what}: {os.strerror(number)}")
        self.log = log


def create_map(
    kind: int, key: int, value: int, entries: int, name: str = "", flags: int = 0
) -> int:
    """Sizes in bytes; of a ring buffer, ``entries`` are its bytes. A file descriptor."""
    attributes = struct.pack("=IIIIIII", kind, key, value, entries, flags, 0, 0) + _name(name)
    return _bpf(MAP_CREATE, attributes, f"map {name}")


def constant(value: bytes, name: str = "") -> int:
    """A map with one value that nobody can change any more; its file descriptor."""
    fd = create_map(ARRAY, 4, len(value), 1, name, READ_ONLY)
    try:
        put(fd, bytes(4), value)
        _bpf(MAP_FREEZE, struct.pack("=I", fd), f"map {name}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def put(fd: int, key: bytes, value: bytes) -> None:
    """Into a map. Raises BpfRefused."""
    called, held = (ctypes.create_string_buffer(data, len(data)) for data in (key, value))
    where = struct.pack("=IIQQQ", fd, 0, ctypes.addressof(called), ctypes.addressof(held), 0)
    _bpf(MAP_UPDATE_ELEM, where, "map")


def look_up(fd: int, key: bytes, size: int) -> bytes:
    """The value; of a per-CPU map ``size`` is that of all CPUs together. Raises BpfRefused."""
    wanted, found = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
    where = struct.pack("=IIQQQ", fd, 0, ctypes.addressof(wanted), ctypes.addressof(found), 0)
    _bpf(MAP_LOOKUP_ELEM, where, "map")
    return found.raw


def load_program(kind: int, code: bytes, name: str = "", attach: int = 0) -> int:
    """A file descriptor. Raises BpfRefused, with the verifier's log."""
    instructions = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(LICENSE)
    log = ctypes.create_string_buffer(VERIFIER_LOG)

    def load(level: int) -> int:
        attributes = struct.pack(
            "=IIQQIIQII16sII",
            kind,
            len(code) // 8,
            ctypes.addressof(instructions),
            ctypes.addressof(license_),
            level,
            len(log) if level else 0,
            ctypes.addressof(log) if level else 0,
            0,
            0,
            _name(name),
            0,
            attach,
        )
        return _bpf(PROG_LOAD, attributes, f"program {name}")

    try:
        return load(0)
    except BpfRefused:  # once more, with reasons: they take time, and are rarely needed
        try:
            return load(1)
        except BpfRefused as refusal:
            said = log.value.decode(errors="replace")
            raise BpfRefused(refusal.errno or 0, f"program {name}", said) from None


def _name(name: str) -> bytes:
    """Letters, digits, ``_`` and ``.`` are allowed, 15 of them."""
    kept = "".join(c if (c.isascii() and c.isalnum()) or c in "_." else "_" for c in name)
    return kept.encode()[:15].ljust(16, b"\0")


def attach_tracepoint(name: str, program: int) -> int:
    """A file descriptor, which holds it there. Raises BpfRefused."""
    called = ctypes.create_string_buffer(name.encode())
    attributes = struct.pack("=QI", ctypes.addressof(called), program)
    return _bpf(RAW_TRACEPOINT_OPEN, attributes, f"tracepoint {name}")


def attach_netfilter(program: int, family: int, hook: int, priority: int) -> int:
    """At a hook of the namespace that the calling thread stands in (Linux 6.4)."""
    attributes = struct.pack(
        "=IIIIIIiI", program, 0, ATTACH_NETFILTER, 0, family, hook, priority, 0
    )
    return _bpf(LINK_CREATE, attributes, f"netfilter hook {hook}")


def _bpf(command: int, attributes: bytes, what: str) -> int:
    return asked(command, attributes, what)[0]


def asked(command: int, attributes: bytes, what: str) -> tuple[int, bytes]:
    """What bpf(2) returns, and the attributes as it leaves them. Raises BpfRefused."""
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise BpfRefused(38, f"bpf(2) on {os.uname().machine}")  # ENOSYS
    buffer = ctypes.create_string_buffer(attributes.ljust(_ATTRIBUTES, b"\0"), _ATTRIBUTES)
    result = int(_libc.syscall(number, command, buffer, _ATTRIBUTES))
    if result < 0:
        raise BpfRefused(ctypes.get_errno(), what)
    return result, buffer.raw
