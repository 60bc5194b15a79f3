"""Declared events: where their fields lie, and what is left out."""

from __future__ import annotations

import struct

import pytest

from netlab.trace.bpf.assembler import Code
from netlab.trace.bpf.btf import Btf, NoSuchType
from netlab.trace.bpf.events import Event, Field, Head, Maps, lay_out, number_of, program
from tests.trace.ebpf.test_btf import kernel


class Kernel:
    """The types that ``test_btf`` writes, as ``Types`` answers."""

    def __init__(self) -> None:
        self.way = lambda path, tracepoint="": Btf(kernel().data()).way(path)
        self.arguments = lambda name: Btf(kernel().data()).arguments(name)


DROP = Event(
    "kfree_skb",
    "sk_buff *",
    (
        Field("reason", "enum skb_drop_reason"),
        Field("second", "int#1"),
        Field("third", "int#2"),
        Field("device", "sk_buff.dev->name"),
        Field("odd", "sk_buff.nothing"),
        Field("location", "void *"),
        Field("headers", "@-40", 20),
        Field("from there", "@-48 sk_buff.len"),
        Field("left", "=-56", 8),
        Field("bytes", "bytes void *", 6),
        Field("program", "program"),
        Field("cast", "net_device.ifindex of void *"),
    ),
)


def test_fields_lie_where_the_layout_says() -> None:
    layout, known, subject = lay_out(DROP, Kernel())
    assert [(k.field.name, k.argument, k.size, k.at) for k in known] == [
        ("reason", 2, 4, 32), ("second", 4, 4, 40), ("device", 0, 16, 48),
        ("location", 1, 8, 64), ("headers", -1, 20, 72), ("from there", -1, 4, 96),
        ("left", -1, 8, 104), ("bytes", 1, 6, 112), ("program", -1, 16, 120), ("cast", 1, 4, 136),
    ]  # fmt: skip
    assert subject == 0
    assert layout.missing == (
        "kfree_skb has no int#2", "sk_buff.nothing does not exist: no nothing",
    )  # fmt: skip
    head = struct.pack("=QQIIII", 5, 6, 7, 8, 9, 10)
    body = struct.pack(
        "=I4xI4x16sQ20s4xI4xQ6s2x16sI4x", 3, 1, b"eth0", 77, b"headers", 60, 5, b"bytes!", b"nc", 2
    )
    record = head + body
    assert layout.size == len(record)
    assert number_of(record) == 7
    assert layout.read(record) == (
        Head(5, 6, 7, 8, 9, 10),
        {
            "reason": 3, "second": 1, "device": b"eth0".ljust(16, b"\0"), "location": 77,
            "headers": b"headers".ljust(20, b"\0"), "from there": 60, "left": 5,
            "bytes": b"bytes!", "program": b"nc".ljust(16, b"\0"), "cast": 2,
        },
    )  # fmt: skip


def test_an_event_without_its_subject_is_refused() -> None:
    for event in (Event("kfree_skb", "sock *"), Event("nothing", "sk_buff *")):
        with pytest.raises(NoSuchType):
            lay_out(event, Kernel())


def test_the_gate_stands_before_everything_that_is_told() -> None:
    layout, known, subject = lay_out(DROP, Kernel())
    seen: list[int] = []

    def gate(code: Code, event: Event) -> None:
        assert event == DROP
        seen.append(len(code))
        code.jump("out")

    whole = program(known, subject, layout, 4, gate, Maps(5, 6, 7))
    assert seen == [4]
    assert len(whole) % 8 == 0
    assert whole.endswith(bytes.fromhex("b700000000000000 9500000000000000"))
