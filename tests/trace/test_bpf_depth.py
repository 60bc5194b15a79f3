"""What is told only where it is to be taught, run on the machine that is written here."""

from __future__ import annotations

from struct import pack
from typing import Any, cast

import pytest

from netlab.trace.anatomy import SOFTIRQ
from netlab.trace.bpf.assembler import Code
from netlab.trace.bpf.btf import NoSuchType, Way
from netlab.trace.bpf.events import Event, Field, Gate, Maps, lay_out, program
from netlab.trace.bpf_softirq import ENTERED, FIELD, LEFT, Softirqs
from netlab.trace.tracepoints import OF_BUFFER, OF_CPU, POINTS, in_depth
from tests.trace.ebpf.machine import Machine

PLACES = {
    "sk_buff.head": (192, 8), "sk_buff.end": (188, 4), "skb_shared_info.dataref": (32, 4),
}  # fmt: skip
ARGUMENTS = {"rx": ("sk_buff *",), ENTERED: ("unsigned int",), LEFT: ("unsigned int",)}
NET_RX = 3


class Types:
    """Of a kernel that is written here."""

    def way(self, path: str, tracepoint: str = "") -> Way:
        offset, size = PLACES[path]
        return Way((offset,), size)

    def arguments(self, name: str) -> tuple[str, ...]:
        if name not in ARGUMENTS:
            raise NoSuchType(name)
        return ARGUMENTS[name]


class Session:
    """Programs are written, and run by hand."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.maps = Maps(1, self.machine.map(0, 4, 8, 1, "lost"), 3)
        self.map = self.machine.map
        self.codes: list[bytes] = []
        self.attached: list[int] = []
        self.lacks: tuple[str, ...] = ()
        self.attach = self.attached.append

    def load(self, event: Event, gate: Gate) -> int | None:
        if event.name in self.lacks:
            return None
        layout, known, at = lay_out(event, Types())
        number = len(self.codes)
        self.codes.append(program(known, at, layout, number, gate, self.maps))
        return number

    def run(self, number: int, *arguments: int) -> None:
        context = self.machine.place(b"".join(pack("<Q", a) for a in arguments))
        self.machine.run(self.codes[number], context)


def everything(code: Code, event: Event) -> None:
    """A gate that is open."""


@pytest.fixture
def session() -> Session:
    return Session()


def test_what_lies_behind_the_end_is_found_from_the_beginning(session: Session) -> None:
    machine = session.machine
    lies = machine.place(bytes(256) + bytes(32) + pack("<I", 0x10002) + bytes(64))
    note = bytearray(256)
    note[188:192], note[192:200] = pack("<I", 256), pack("<Q", lies)
    event = Event("rx", "sk_buff *", (Field("dataref", OF_BUFFER[5].source),))
    number = session.load(event, everything)
    assert number is not None
    session.run(number, machine.place(bytes(note)))
    layout, _, _ = lay_out(event, Types())
    assert [layout.read(record)[1] for record in machine.records] == [{"dataref": 0x10002}]


def test_each_cpu_knows_which_softirq_it_serves(session: Session) -> None:
    softirqs = Softirqs(cast(Any, session))
    assert softirqs.is_noted and session.attached == [0, 1]
    event = Event("rx", "sk_buff *", (FIELD,))
    number = session.load(event, softirqs.told(everything))
    assert number is not None
    buffer = session.machine.place(bytes(256))
    served = []
    for cpu, happens in ((0, ENTERED), (1, ""), (0, ""), (0, LEFT)):
        session.machine.cpu = cpu
        if happens:
            session.run((ENTERED, LEFT).index(happens), NET_RX)
        session.machine.records.clear()
        session.run(number, buffer)
        layout, _, _ = lay_out(event, Types())
        (record,) = session.machine.records
        served.append((cpu, layout.read(record)[1][SOFTIRQ]))
    assert served == [(0, NET_RX + 1), (1, 0), (0, NET_RX + 1), (0, 0)]


def test_a_kernel_that_does_not_tell_of_softirqs_is_not_asked(session: Session) -> None:
    session.lacks = (LEFT,)
    softirqs = Softirqs(cast(Any, session))
    assert not softirqs.is_noted
    assert session.attached == []


def test_only_what_has_a_packet_or_a_cpu_alone_is_asked_more() -> None:
    def added(name: str) -> list[Field]:
        fields = in_depth(POINTS[name], FIELD).event.fields
        return [field for field in fields if field not in POINTS[name].event.fields]

    assert added("rx") == added("hook") == [*OF_BUFFER, *OF_CPU, FIELD]
    assert added("route") == added("polled") == [*OF_CPU, FIELD]
    assert added("state") == added("ready") == []
