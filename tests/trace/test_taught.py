"""What was measured at each step, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netlab.kernel.opened import Memory, Socket, Tcp
from netlab.trace import anatomy, taught
from netlab.trace import model as m
from netlab.trace.anatomy import Anatomy
from netlab.trace.facts import LinkFact
from netlab.trace.measured import Measured, measure
from netlab.trace.sighting import Sighting, as_json, from_json
from netlab.trace.taught import letters, words
from tests.trace.kept import NAMES, record, trace

DEEP = "kernel-in-depth"
PROCESS = Anatomy(
    1, 132, 60, 64, is_cloned=True, shares=2, context="process", program="curl", pid=9
)
SOFTIRQ = replace(PROCESS, context="NET_RX")
FRAME = replace(SOFTIRQ, headroom=118, held=74)
OWN = replace(SOFTIRQ, memory=2, is_cloned=False, shares=1)


def seen(node: str, point: str, inside: Anatomy | None, **more: Any) -> Sighting:
    return Sighting(node, "bpf", point, cpu=1, anatomy=inside, **more)


AT_TX = seen("cli", "tx", FRAME)
AT_RX = seen("gw", "rx", SOFTIRQ)
LAN = LinkFact("lan", "veth", True, True, 1500)


# of a real packet


def test_the_way_of_a_syn_in_memory() -> None:
    """cli ── sw ── gw ── srv: TCP's own buffer shares the bytes until gw has to write."""
    found = measure(record(DEEP), trace(DEEP))
    end = next(here for here in found.values() if here.stays)
    assert [nodes for _, nodes in end.stays] == [("cli", "sw", "gw"), ("gw", "srv")]
    first = trace(DEEP).legs[0]
    there = [
        (first.hops[hop].node, first.hops[hop].steps[step], here)
        for (leg, hop, step), here in found.items() if leg == 0
    ]  # fmt: skip
    rooms = [
        (node, step.kind, here.now.anatomy.headroom)
        for node, step, here in there
        if step.kind in ("rx", "tx") and here.now and here.now.anatomy
    ]
    assert rooms == [
        ("cli", "tx", 118), ("sw", "rx", 132), ("sw", "tx", 118), ("gw", "rx", 132),
        ("gw", "tx", 118), ("srv", "rx", 132),
    ]  # fmt: skip
    contexts = [
        here.now.anatomy.context for _, step, here in there
        if step.kind in ("socket", "rx") and here.now and here.now.anatomy
    ]  # fmt: skip
    assert contexts == ["process", "NET_RX", "NET_RX", "NET_RX", "NET_RX"]
    waited = [here.waited for _, step, here in there if step.kind == "rx"]
    assert all(time is not None and time > 0 for time in waited)


def test_the_sockets_of_both_ends_are_told() -> None:
    said = taught.of(record(DEEP), trace(DEEP)).measured
    first, last = said[0, 0, 0], max((k, v) for k, v in said.items() if k[0] == 0)[1]
    assert "Its socket: ESTABLISHED, bbr, cwnd 10, RTT 0." in first
    assert "accept queue 1 of 8, SYN queue 0." in last
    assert last.endswith("one piece of memory in 3 namespaces: A in cli, sw, gw; B in gw, srv.")


def test_who_watched_without_the_kernel_teaches_without_it() -> None:
    found = taught.of(record("published"), trace("published"))
    assert set(found.measured.values()) == {
        "No XDP program is on cli: it would have run before there is an sk_buff."
    }
    assert found.lacking == (
        "how buffers lie in memory, on which CPU and in which context: bpf: it was not chosen",
        "what the sockets hold: none is left, or the kernel does not tell (CONFIG_INET_DIAG)",
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_kept_packet_can_be_taught(name: str) -> None:
    """Whatever was seen, by whomever: places are those of steps, and nothing is said of none."""
    found = taught.of(record(name), trace(name))
    for (leg, hop, step), text in found.measured.items():
        assert trace(name).legs[leg].hops[hop].steps[step] is not None
        assert text and "None" not in text
    assert bool(found.lacking) == (name != DEEP)


def test_an_obstacle_and_a_kernel_that_does_not_tell_are_named() -> None:
    refused = replace(record(DEEP), backends=(("bpf", "Operation not permitted"),))
    assert taught.of(refused, trace(DEEP)).lacking[0].endswith("bpf: Operation not permitted")
    mute = [
        replace(s, anatomy=replace(s.anatomy, context="")) if s.anatomy else s
        for s in record(DEEP).sightings
    ]
    kept = replace(record(DEEP), sightings=tuple(mute))
    assert taught.of(kept, trace(DEEP)).lacking == (
        "in which context: this kernel does not tell when softirqs begin and end",
    )
    assert "CPU 1, in a softirq by its tracepoint" in " ".join(
        taught.of(kept, trace(DEEP)).measured.values()
    ).replace("CPU 0", "CPU 1")


# in words


@pytest.mark.parametrize(
    ("step", "here", "said"),
    [
        (
            m.Socket("connect() from 10.0.0.1:5"), Measured(seen("cli", "hook", PROCESS)),
            "CPU 1, in a system call of curl (pid 9). The bytes lie in memory A, headroom 132,"
            " 60 bytes, tailroom 64; 2 buffers share it (dataref). One is TCP's own, kept to be"
            " sent again.",
        ),
        (
            m.Tx("eth0"), Measured(AT_TX, seen("cli", "hook", SOFTIRQ), is_first=True),
            "Its data pointer went 14 back: the Ethernet header was put in front (skb_push). Now:"
            " memory A, headroom 118, 74 bytes, tailroom 64; 2 buffers share it (dataref)."
            " gso_size 0: it is one segment, nothing for GSO to cut.",
        ),
        (
            m.Tx("eth0"),
            Measured(seen("cli", "tx", replace(FRAME, segment=1448, segments=5, paged=7240))),
            "CPU 1, softirq NET_RX on top of curl (pid 9). Now: memory A, headroom 118, 74 bytes,"
            " tailroom 64, 7240 more in pages; 2 buffers share it (dataref). It stands for 5"
            " segments of 1448 bytes (gso_size), in one buffer still.",
        ),
        (
            m.Rx("lan"), Measured(AT_RX, AT_TX, waited=2.5, link=LAN),
            "CPU 1, softirq NET_RX on top of curl (pid 9); 2.5 µs in that CPU's backlog. The same"
            " memory as on cli: nothing was copied. Its data pointer went 14 on: the Ethernet"
            " header was taken off (skb_pull). Now: memory A, headroom 132, 60 bytes, tailroom 64;"
            " 2 buffers share it (dataref).",
        ),
        (
            m.Rx("lan"),
            Measured(
                seen("gw", "rx", OWN), AT_TX, by_gro=True, link=replace(LAN, xdp="native")
            ),
            "CPU 1, softirq NET_RX on top of curl (pid 9); the NAPI poll of its device gave it to"
            " GRO first. From memory A to B: the device's poll built a new buffer after XDP. Now:"
            " memory B, headroom 132, 60 bytes, tailroom 64. lan has an XDP program: it saw the"
            " frame before there was this sk_buff.",
        ),
        (
            m.Hook("forward", "ip", took=1.5), Measured(seen("gw", "hook", OWN), AT_RX),
            "Copy on write: 2 buffers shared memory A, so the lowering of its TTL copied the bytes"
            " to B first. 1.5 µs were spent in it.",
        ),
        (
            m.Nat("prerouting", ()), Measured(seen("gw", "hook", OWN), AT_RX),
            "Copy on write: 2 buffers shared memory A, so NAT copied the bytes to B first.",
        ),
        (
            m.Nat("prerouting", ()), Measured(seen("gw", "hook", OWN), seen("gw", "hook", OWN)),
            "Memory B is nobody else's: the headers were changed where they lie.",
        ),
        (
            m.Switched("br0", "02::1", ("p1", "p2"), known=False),
            Measured(seen("sw", "tx", FRAME), copies=2),
            "2 buffers, one memory A: 2 shared it when the first left (dataref).",
        ),
        (
            m.Dropped("…", "NO_SOCKET"),
            Measured(seen("gw", "freed", OWN), stays=((1, ("cli", "sw")), (2, ("gw",)))),
            "CPU 1, softirq NET_RX on top of curl (pid 9). It ended in memory B, headroom 132, 60"
            " bytes, tailroom 64. The whole way, one piece of memory in 2 namespaces: A in cli, sw;"
            " B in gw.",
        ),
        (
            m.Tunnelled("vx0", True),
            Measured(seen("gw", "hook", replace(SOFTIRQ, headroom=30, held=95)), AT_TX),
            "Its data pointer went 88 back: 88 bytes of headers were put in front (skb_push). Now:"
            " memory A, headroom 30, 95 bytes, tailroom 64; 2 buffers share it (dataref).",
        ),
        (m.Route("10.0.0.1"), Measured(AT_RX, AT_RX), "Looked up on CPU 1, softirq NET_RX."),
        (m.Note("…"), Measured(AT_RX), ""),
        (m.Rx("lan"), Measured(), ""),
    ],
)  # fmt: skip
def test_a_step_tells_what_was_measured(step: m.Step, here: Measured, said: str) -> None:
    assert words(step, here) == said


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (replace(SOFTIRQ, program="swapper/1", pid=0), "softirq NET_RX, while nothing else ran"),
        (
            replace(SOFTIRQ, program="ksoftirqd/1", pid=18),
            "softirq NET_RX in ksoftirqd/1, which runs what is too much at once",
        ),
        (replace(SOFTIRQ, context=""), "in a softirq by its tracepoint, on top of curl (pid 9)"),
        (replace(SOFTIRQ, context="TIMER"), "softirq TIMER on top of curl (pid 9)"),
    ],
)
def test_who_ran(inside: Anatomy, said: str) -> None:
    assert words(m.Dropped("…"), Measured(seen("gw", "rx", inside))).startswith(f"CPU 1, {said}.")


def test_what_sockets_hold() -> None:
    waits = Socket("tcp", "LISTEN", "0.0.0.0", 80, "", 0, 3, 7, half_open=2)
    talks = replace_tcp(Tcp("cubic", 10, rtt=1.5, retransmitted=1, out_of_order=4))
    step = m.Socket("a program waits on tcp/80")
    assert words(step, Measured(listener=waits, socket=talks)) == (
        "Afterwards: accept queue 3 of 7, SYN queue 2. Its socket: ESTABLISHED, cubic, cwnd 10,"
        " RTT 1.5 ms, 1 sent again, 4 came out of order so far, out-of-order queue 1280 bytes."
    )
    datagrams = Socket("udp", "", "0.0.0.0", 53, "", 0, 0, 0, memory=Memory(768, 2304, 0, 0, 0, 9))
    assert words(step, Measured(listener=datagrams)) == (
        "Afterwards: 768 of 2304 bytes in its receive buffer, 9 dropped so far."
    )
    old = replace_tcp(Tcp("cubic"))._replace(memory=None)
    assert words(step, Measured(socket=old)) == "Its socket: ESTABLISHED, cubic."


def replace_tcp(tcp: Tcp) -> Socket:
    memory = Memory(1280, 87380, 0, 0, 0, 0)
    return Socket("tcp", "ESTABLISHED", "10.0.0.2", 80, "10.0.0.1", 5, 0, 0, memory=memory, tcp=tcp)


def test_what_waits_out_of_order_is_only_told_where_it_can_be_told_apart() -> None:
    one = replace_tcp(Tcp(out_of_order=1))
    assert one.waits_out_of_order == 1280
    assert one._replace(receive_queue=9).waits_out_of_order is None
    assert one._replace(tcp=Tcp(out_of_order=0), receive_queue=9).waits_out_of_order == 0
    assert one._replace(memory=Memory(0, 1, 0, 0, 0, 0)).waits_out_of_order == 0
    assert one._replace(memory=None).waits_out_of_order is None


def test_letters() -> None:
    assert [letters(n) for n in (1, 2, 26, 27, 53)] == ["A", "B", "Z", "AA", "BA"]


# what programs told


FIELDS = {
    "bytes": 0x1000, "data": 0x1084, "tail": 192, "end": 256, "paged": 7, "length": 67,
    "flags": anatomy.CLONED, "references": 1 << 16 | 2, "segment": 1448, "segments": 5,
    "running": b"curl", "softirq": 4,
}  # fmt: skip


def test_fields_become_rooms() -> None:
    assert anatomy.of(FIELDS, 3, "curl", 9) == Anatomy(
        3, 132, 60, 64, 7, True, 2, 1, 1448, 5, "NET_RX", "curl", 9
    )


def test_what_a_kernel_does_not_tell_is_not_made_up() -> None:
    kept = {name: FIELDS[name] for name in ("bytes", "running")}
    assert anatomy.of(kept, 0, "curl", 9) == Anatomy(program="curl", pid=9)
    half = {name: FIELDS[name] for name in ("bytes", "data", "running")}
    assert anatomy.of(half, 1, "", 0) == Anatomy(1, 132)


@pytest.mark.parametrize(
    ("number", "said"), [(None, ""), (0, "process"), (1, "HI"), (10, "RCU"), (11, "softirq 10")]
)
def test_contexts(number: int | None, said: str) -> None:
    assert anatomy.context(number) == said


def test_a_sighting_keeps_it_as_json() -> None:
    assert from_json(as_json(AT_TX)) == AT_TX
