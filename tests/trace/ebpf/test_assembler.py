"""Instructions as RFC 9669 writes them, byte for byte."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from netlab.trace.bpf.assembler import FARTHEST, FP, R0, R1, R2, R3, R6, R7, Code

little = pytest.mark.skipif(sys.byteorder != "little", reason="these bytes are little endian's")


def written(write: Callable[[Code], object]) -> str:
    code = Code()
    write(code)
    return bytes(code).hex(" ", 8)


@little
@pytest.mark.parametrize(
    ("write", "bytes_"),
    [
        (lambda c: c.set(R1, 5), "b701000005000000"),
        (lambda c: c.set(R1, -1), "b7010000ffffffff"),
        (lambda c: c.set(R0, 0xFFFFFFFF), "b7000000ffffffff"),
        (lambda c: c.set(R1, R6), "bf61000000000000"),
        (lambda c: c.add(R1, 16), "0701000010000000"),
        (lambda c: c.add(R2, R7), "0f72000000000000"),
        (lambda c: c.mask(R1, 15), "570100000f000000"),
        (lambda c: c.mask(R1, R2), "5f21000000000000"),
        (lambda c: c.toggle(R1, R2), "af21000000000000"),
        (lambda c: c.toggle(R1, 255), "a7010000ff000000"),
        (lambda c: c.shift_left(R1, 2), "6701000002000000"),
        (lambda c: c.shift_right(R0, 32), "7700000020000000"),
        (lambda c: c.load(8, R7, R6, 8), "7967080000000000"),
        (lambda c: c.load(4, R1, FP, -16), "61a1f0ff00000000"),
        (lambda c: c.load(2, R1, R2), "6921000000000000"),
        (lambda c: c.load(1, R1, R2, 3), "7121030000000000"),
        (lambda c: c.store(8, FP, -8, R7), "7b7af8ff00000000"),
        (lambda c: c.store(4, FP, -4, 7), "620afcff07000000"),
        (lambda c: c.store(2, R1, 2, R3), "6b31020000000000"),
        (lambda c: c.store(1, R1, 0, 255), "72010000ff000000"),
        (lambda c: c.set_map(R1, 9), "1811000009000000 0000000000000000"),
        (lambda c: c.call("ktime_get_ns"), "8500000005000000"),
        (lambda c: c.exit(), "9500000000000000"),
    ],
)
def test_each_instruction(write: Callable[[Code], object], bytes_: str) -> None:
    assert written(write) == bytes_


@little
def test_jumps_count_from_the_instruction_behind_them() -> None:
    def write(code: Code) -> None:
        code.label("again")
        code.jump_if(R1, "==", 0, "out")
        code.jump_if(R1, "!=", 0x80000000, "out", bits=32)
        code.jump_if(R1, ">", 7, "again")
        code.jump_if(R1, "==", R2, "again")
        code.jump_if(R1, "!=", R2, "again", bits=32)
        code.jump("again")
        code.label("out")
        code.exit()

    assert written(write) == (
        "1501050000000000 5601040000000080 2501fdff07000000 1d21fcff00000000 5e21fbff00000000"
        " 0500faff00000000 9500000000000000"
    )


def test_a_map_takes_the_room_of_two_instructions() -> None:
    code = Code()
    code.jump("out")
    code.set_map(R1, 3)
    code.label("out")
    assert len(code) == 3
    assert bytes(code)[2:4] == (2).to_bytes(2, sys.byteorder)


def test_a_jump_to_nowhere_is_told() -> None:
    code = Code()
    code.jump("nowhere")
    with pytest.raises(KeyError, match="nowhere"):
        bytes(code)


def test_a_jump_that_is_too_far_is_told() -> None:
    code = Code()
    code.jump("out")
    for _ in range(FARTHEST + 1):
        code.set(R0, 0)
    code.label("out")
    with pytest.raises(OverflowError, match="out is 32768 instructions away"):
        bytes(code)


def test_a_place_has_one_name_and_fresh_names_are_nobodys() -> None:
    code = Code()
    code.label("out")
    with pytest.raises(ValueError, match="out"):
        code.label("out")
    assert len({code.fresh("trk") for _ in range(50)}) == 50
