"""What the assembler writes, read by a judge: llvm-objdump says what each instruction does."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from netlab.trace.bpf.assembler import FP, R0, R1, R2, R3, R6, R7, R9, Code
from netlab.trace.tracepoints import Known
from tests.trace.test_bpf_gate import PROBE, PROBE6, Kernel

OBJDUMP = shutil.which("llvm-objdump")
pytestmark = [
    pytest.mark.skipif(not OBJDUMP, reason="llvm-objdump is not installed (package llvm)"),
    pytest.mark.skipif(sys.byteorder != "little", reason="what is judged is little endian's"),
]

EM_BPF = 247
NAMES = b"\0.text\0.shstrtab\0"


def elf(code: bytes) -> bytes:
    """An object file with one section (elf(5)); nothing else of it is looked at."""
    text, names = 64, 64 + len(code)
    table = names + len(NAMES) + -(names + len(NAMES)) % 8
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 1, EM_BPF, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2
    )
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 6, 0, text, len(code), 0, 0, 8, 0)
    sections += struct.pack("<IIQQQQIIQQ", 7, 3, 0, 0, names, len(NAMES), 0, 0, 1, 0)
    return (head + code + NAMES).ljust(table, b"\0") + sections


STORES = frozenset({0x62, 0x6A, 0x72, 0x7A})
"""Of constants: LLVM reads these from version 17 on."""


def judged(code: bytes, place: Path) -> dict[int, str]:
    """In LLVM's words, by where each begins, counted in instructions of 8 bytes."""
    file = place / "judged.o"
    file.write_bytes(elf(code))
    command = [str(OBJDUMP), "-d", "--no-show-raw-insn", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ +(\d+):\s+(.*?)\s*$", said, re.MULTILINE)
    return {int(at): _plain(line) for at, line in found}


def _plain(line: str) -> str:
    """Without the names of places; newer ones write numbers as hexadecimal ones."""
    line = re.sub(r"(goto \S+) <.+>$", r"\1", line).replace("\t", " ")
    return re.sub(r"0x[0-9a-f]+", lambda found: str(int(found[0], 16)), line)


Write = Callable[[Code], object]

EACH: Sequence[tuple[Write, str]] = [
    (lambda c: c.set(R1, 5), "r1 = 5"),
    (lambda c: c.set(R1, -1), "r1 = -1"),
    (lambda c: c.set(R1, R6), "r1 = r6"),
    (lambda c: c.add(R1, 16), "r1 += 16"),
    (lambda c: c.add(R2, R7), "r2 += r7"),
    (lambda c: c.mask(R1, 15), "r1 &= 15"),
    (lambda c: c.mask(R1, R2), "r1 &= r2"),
    (lambda c: c.toggle(R1, R2), "r1 ^= r2"),
    (lambda c: c.toggle(R1, 255), "r1 ^= 255"),
    (lambda c: c.shift_left(R1, 2), "r1 <<= 2"),
    (lambda c: c.shift_right(R0, 32), "r0 >>= 32"),
    (lambda c: c.load(8, R7, R6, 8), "r7 = *(u64 *)(r6 + 8)"),
    (lambda c: c.load(4, R1, FP, -16), "r1 = *(u32 *)(r10 - 16)"),
    (lambda c: c.load(2, R1, R2), "r1 = *(u16 *)(r2 + 0)"),
    (lambda c: c.load(1, R1, R2, 3), "r1 = *(u8 *)(r2 + 3)"),
    (lambda c: c.store(8, FP, -8, R7), "*(u64 *)(r10 - 8) = r7"),
    (lambda c: c.store(4, FP, -12, R9), "*(u32 *)(r10 - 12) = r9"),
    (lambda c: c.store(2, R1, 2, R3), "*(u16 *)(r1 + 2) = r3"),
    (lambda c: c.store(1, R1, 0, R3), "*(u8 *)(r1 + 0) = r3"),
    (lambda c: c.call("ktime_get_ns"), "call 5"),
    (lambda c: c.call("probe_read_kernel"), "call 113"),
    (lambda c: c.exit(), "exit"),
]  # fmt: skip


def test_each_instruction_is_what_it_is_called(tmp_path: Path) -> None:
    code = Code()
    for write, _ in EACH:
        write(code)
    assert list(judged(bytes(code), tmp_path).values()) == [words for _, words in EACH]


def test_jumps_lead_to_their_labels(tmp_path: Path) -> None:
    code = Code()
    code.label("again")
    code.jump_if(R1, "==", 0, "out")
    code.jump_if(R1, "!=", 7, "out", bits=32)
    for comparison in (">", ">=", "<", "<="):
        code.jump_if(R1, comparison, 7, "again")
    code.jump_if(R1, "!=", R2, "again")
    code.jump_if(R1, "==", R2, "again", bits=32)
    code.jump("out")
    code.set(R0, 0)
    code.label("out")
    code.exit()
    assert list(judged(bytes(code), tmp_path).values()) == [
        "if r1 == 0 goto +9", "if w1 != 7 goto +8", "if r1 > 7 goto -3", "if r1 >= 7 goto -4",
        "if r1 < 7 goto -5", "if r1 <= 7 goto -6", "if r1 != r2 goto -7", "if w1 == w2 goto -8",
        "goto +1", "r0 = 0", "exit",
    ]  # fmt: skip


def test_a_map_is_a_number_of_64_bits(tmp_path: Path) -> None:
    code = Code()
    code.set_map(R3, 9)
    code.exit()
    assert judged(bytes(code), tmp_path) == {0: "ld_pseudo r3, 1, 9", 2: "exit"}


KNOWN: tuple[Known, ...] = (
    "network", "data", "hook", "context", "socket", "waiting", "reader",
)  # fmt: skip


@pytest.mark.parametrize("kernel", [Kernel(), Kernel(PROBE6, tunnels=True)], ids=["IPv4", "IPv6"])
def test_whole_programs_have_nothing_in_them_that_is_no_instruction(
    kernel: Kernel, tmp_path: Path
) -> None:
    """Those of every gate: as many are read as were written, and each jump stays within."""
    assert PROBE.version == 4
    for known in KNOWN:
        kernel.tells(known, *[kernel.packet(bytes(64))] * 3)
    assert len(kernel.codes) == len(KNOWN)
    for code in kernel.codes.values():
        lines = judged(code, tmp_path)
        wide = {at for at in lines if code[8 * at] == 0x18}
        assert set(lines) | {at + 1 for at in wide} == set(range(len(code) // 8))
        assert [lines[at] for at in sorted(lines)[-2:]] == ["r0 = 0", "exit"]
        for at, line in lines.items():
            assert "unknown" not in line or code[8 * at] in STORES, code[8 * at :][:8].hex()
            jump = re.search(r"goto ([+-]\d+)$", line)
            assert jump is None or at + 1 + int(jump[1]) in lines, line
