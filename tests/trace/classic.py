"""Classic BPF, run in Python: what the kernel does with a filter's program (linux/filter.h)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Instruction = tuple[int, int, int, int]
BESIDE = 0xFFFFF000


def run(
    program: Sequence[Instruction], packet: bytes, beside: Mapping[int, int] | None = None
) -> int:
    """How many bytes of the packet are kept. ``beside``: what a kernel knows of it."""
    a = x = at = 0
    memory = [0] * 16
    while True:
        code, yes, no, k = program[at]
        at += 1
        kind, size = code & 7, {0x00: 4, 0x08: 2, 0x10: 1}.get(code & 0x18, 0)
        match kind:
            case 0 | 1:
                match code & 0xE0:
                    case 0x00:
                        value = k
                    case 0x20 if k >= BESIDE:
                        value = (beside or {}).get(k - BESIDE, 0)
                    case 0x20 | 0x40:
                        start = k + (x if code & 0xE0 == 0x40 else 0)
                        if start + size > len(packet):
                            return 0
                        value = int.from_bytes(packet[start : start + size], "big")
                    case 0x60:
                        value = memory[k]
                    case 0x80:
                        value = len(packet)
                    case 0xA0:
                        if k >= len(packet):
                            return 0
                        value = 4 * (packet[k] & 15)
                    case _:
                        raise AssertionError(hex(code))
                a, x = (value, x) if kind == 0 else (a, value)
            case 2:
                memory[k] = a
            case 3:
                memory[k] = x
            case 4:
                with_what = x if code & 8 else k
                match code & 0xF0:
                    case 0x00:
                        a = a + with_what & 0xFFFFFFFF
                    case 0x10:
                        a = a - with_what & 0xFFFFFFFF
                    case 0x40:
                        a |= with_what
                    case 0x50:
                        a &= with_what
                    case 0x60:
                        a = a << with_what & 0xFFFFFFFF
                    case 0x70:
                        a >>= with_what
                    case _:
                        raise AssertionError(hex(code))
            case 5:
                with_what = x if code & 8 else k
                holds = {
                    0x10: a == with_what,
                    0x20: a > with_what,
                    0x30: a >= with_what,
                    0x40: bool(a & with_what),
                }
                at += k if code & 0xF0 == 0 else (yes if holds[code & 0xF0] else no)
            case 6:
                return a if code & 0x18 == 0x10 else k
            case 7:
                a, x = (a, a) if code & 0xF8 == 0 else (x, x)
