"""Kernels that have less: whatever is not there is left out, and named; nothing falls over."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from netlab.trace.bpf.btf import NoSuchType, Way
from netlab.trace.bpf.events import HOOK, Event, Maps, lay_out, program
from netlab.trace.bpf_gate import Gates, Ports
from netlab.trace.cookie import marks
from netlab.trace.model import Probe
from netlab.trace.tracepoints import POINTS, Point, in_depth
from tests.trace.ebpf.machine import Machine

PROBE = Probe("a", "b", "udp", "10.0.0.1", "10.0.0.2", 53, 4000, cookie=1)
ALL = {name: in_depth(point) for name, point in POINTS.items()}
NEEDED = frozenset({
    *(f"sk_buff.{name}" for name in ("network_header", "mac_header", "head", "data", "sk")),
    "sock.sk_protocol", "sock.__sk_common.skc_family", "sock.sk_receive_queue.qlen",
    "sock.__sk_common.skc_dport",
})  # fmt: skip
"""Without these no packet is known again by any program, and the backend says so."""


class Kernel:
    """Has all that is asked for, but what is ``absent``: members and tracepoints."""

    def __init__(self, *absent: str) -> None:
        self.absent = absent
        self.asked: dict[str, None] = {}

    def way(self, path: str, tracepoint: str = "") -> Way:
        self.asked[path] = None
        if path in self.absent:
            raise NoSuchType(f"{path} does not exist")
        size = 1 if path == "nf_hook_state.hook" else 8
        return Way((8,) * path.count("->") + (16,), size)

    def arguments(self, tracepoint: str) -> tuple[str, ...]:
        if tracepoint in self.absent:
            raise NoSuchType(f"there is no tracepoint {tracepoint}")
        event = next(p.event for p in ALL.values() if p.event.name == tracepoint)
        return tuple(a for a in _arguments(event) if a not in self.absent)


def _arguments(event: Event) -> list[str]:
    """Each as often as it is asked for, the subject first."""
    found = [event.subject] if event.subject else []
    for field in event.fields:
        source = field.source.removeprefix("symbol ").removeprefix("bytes ")
        if source[0] in "=@" or source == "program":
            continue
        if "." in source:
            pointer = source.partition(" of ")[2] or f"{source.partition('.')[0]} *"
            found += [pointer] if pointer not in found else []
            continue
        kind, _, count = source.partition("#")
        missing = int(count or 0) + 1 - found.count(kind)
        found += [kind] * missing
    return found


def written(point: Point, kernel: Kernel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields that are told, and what is missing; the program is written out."""
    layout, known, subject = lay_out(point.event, kernel)
    gates = Gates(cast(Any, Machine()), cast(Any, kernel), marks(PROBE, tunnels=False), 7, Ports())
    code = program(known, subject, layout, 0, gates.of(point), Maps(1, 2, 3))
    assert len(code) % 8 == 0 and code.endswith(bytes.fromhex("9500000000000000"))
    return layout.names, layout.missing


@pytest.mark.parametrize("name", ALL)
def test_a_member_that_is_not_there_is_left_out_and_named(name: str) -> None:
    point = ALL[name]
    whole = Kernel()
    names, missing = written(point, whole)
    assert (len(names), missing) == (len(point.event.fields), ())
    for path in set(whole.asked) - NEEDED:
        fields = [f.name for f in point.event.fields if path in re.split(r"[ :]+", f.source)]
        if not fields:
            continue  # a gate asks for it
        names, missing = written(point, Kernel(path))
        assert set(fields).isdisjoint(names) and len(names) + len(missing) == len(
            point.event.fields
        )
        assert set(missing) == {f"{path} does not exist"}


@pytest.mark.parametrize("name", ALL)
def test_an_argument_that_is_not_there_is_left_out_and_named(name: str) -> None:
    point = ALL[name]
    given = HOOK if name == "hook" else _arguments(point.event)
    for argument in set(given) - {point.event.subject} if name != "hook" else ():
        names, missing = written(point, Kernel(argument))
        assert missing and len(names) + len(missing) == len(point.event.fields)
        assert all(words.startswith(f"{point.event.name} has no ") for words in missing)


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].event.name])
def test_a_tracepoint_that_is_not_there_is_named(name: str) -> None:
    event = ALL[name].event
    with pytest.raises(NoSuchType, match=f"^there is no tracepoint {event.name}$"):
        lay_out(event, Kernel(event.name))
    if event.subject:
        with pytest.raises(NoSuchType, match="has no "):
            lay_out(event, Kernel(event.subject))


@pytest.mark.parametrize("path", ["sk_buff._nfct", "udp_sock.reader_queue.qlen"])
def test_gates_do_without_what_not_every_kernel_has(path: str) -> None:
    for point in ALL.values():
        written(point, Kernel(path))


@pytest.mark.parametrize("path", sorted(NEEDED))
def test_without_what_packets_are_known_by_it_is_said_at_once(path: str) -> None:
    with pytest.raises(NoSuchType, match=path):
        written(ALL["rx"], Kernel(path))
