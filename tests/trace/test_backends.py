"""What backends read and write, without a kernel: messages of nftables, counters of /proc."""

from __future__ import annotations

import struct

from netlab.firewall.wire import attributes, each, nest, number, string, text, u8, u32
from netlab.trace.backends import TIERS, catalog, tier
from netlab.trace.backends.counters import devices, hexadecimal, paired, softnet
from netlab.trace.backends.nft_trace import decode, encode, of_mark, split, tables
from netlab.trace.cookie import Mark, table_name

FOUND = [of_mark(m) for m in (Mark(17, 4, 8, 0x51442623), Mark(1, 4, 36, 0x51442623))]
NAMES = {16: "lan", 17: "wan"}


def told(*parts: bytes, family: int = 1) -> bytes:
    return struct.pack(">BBH", family, 0, 0) + b"".join(parts)


def test_a_rule_that_drops_is_read() -> None:
    body = told(
        text(1, "filter"), text(2, "forward"), nest(3, b"")[:4] + struct.pack(">Q", 5),
        u32(4, 3), nest(5, u32(1, 0)), u32(6, 0xE56D0325), u32(10, 16), u32(12, 17),
    )  # fmt: skip
    body = body.replace(struct.pack("=HH", 4, 3 | 0x8000), struct.pack("=HH", 12, 3))
    seen = decode(body, "gw", NAMES)
    assert (seen.node, seen.point, seen.family) == ("gw", "rule", "inet")
    assert (seen.table, seen.chain, seen.handle) == ("filter", "forward", 5)
    assert (seen.verdict, seen.device, seen.to_device, seen.id) == (
        "drop", "lan", "wan", 0xE56D0325,
    )  # fmt: skip


def test_a_jump_a_policy_and_a_state_are_read() -> None:
    jump = decode(told(u32(4, 3), nest(5, u32(1, 0xFFFFFFFD), text(2, "udp"))), "gw", NAMES)
    assert (jump.verdict, jump.jump) == ("jump", "udp")
    policy = decode(told(u32(4, 1), u32(16, 0), family=7), "gw", NAMES)
    assert (policy.point, policy.verdict, policy.family) == ("policy", "drop", "bridge")
    tracked = decode(told(u32(18, 77), u8(19, 1), u32(20, 18), u32(21, 2)), "gw", NAMES)
    assert (tracked.ct_id, tracked.ct_direction, tracked.ct_status, tracked.ct_state) == (
        77, "reply", 18, "established",
    )  # fmt: skip
    assert decode(told(u32(10, 99)), "gw", NAMES).device == "99"


def test_a_table_goes_with_its_owner_and_has_a_chain_at_both_ends_of_every_hook() -> None:
    messages = list(tables(0x51442623, FOUND, ["lan", "wan"], True, True))
    made = [(m.kind & 0xFF, m.family, attributes(m.body)) for m in messages]
    owned = [number(a[2]) for kind, _, a in made if kind == 0]
    assert owned == [2, 2, 2]
    assert {string(a[1]) for _, _, a in made} == {table_name(0x51442623)}
    chains = [string(a[3]) for kind, family, a in made if kind == 3 and family == 1]
    assert chains == [
        f"{hook}_{end}"
        for hook in ("prerouting", "input", "forward", "output", "postrouting")
        for end in ("first", "last")
    ]
    policies = {number(a[5]) for kind, _, a in made if kind == 3}
    assert policies == {1}, "a chain of a trace never drops"
    marked = [string(a[2]) for kind, family, a in made if kind == 6 and family == 5]
    assert marked == ["ingress_first"] * len(FOUND) + ["egress_first"] * len(FOUND)


def test_a_switch_of_many_ports_has_chains_of_as_many_devices_as_the_kernel_takes() -> None:
    names = [f"p{n}" for n in range(600)]
    messages = list(tables(1, FOUND, names, False, False))
    hooked = []
    for message in messages:
        if message.kind & 0xFF == 3 and message.family == 5:
            hook = attributes(attributes(message.body)[4])
            hooked.append([string(name) for _, name in each(hook[4])])
    assert [len(some) for some in hooked] == [256, 256, 88]
    assert [name for some in hooked for name in some] == names


def test_a_transaction_asks_for_one_answer() -> None:
    messages = list(tables(1, FOUND, [], False, False))
    data = encode(messages)
    kinds = [(kind, place) for kind, place, _ in split(data)]
    assert kinds[0] == (0x10, 0) and kinds[-1] == (0x11, len(messages) + 1)
    flags = [struct.unpack_from("=H", data, at + 6)[0] for at in _starts(data)]
    assert [bool(f & 4) for f in flags] == [False] * len(messages) + [True, False]


def _starts(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        found.append(at)
        at += (struct.unpack_from("=I", data, at)[0] + 3) & ~3
    return found


def test_counters_are_read() -> None:
    snmp = "Ip: Forwarding InReceives\nIp: 1 55\nIcmp: InMsgs OutRateLimitHost\nIcmp: 7 3\n"
    assert dict(paired(snmp)) == {
        "Ip.Forwarding": 1, "Ip.InReceives": 55, "Icmp.InMsgs": 7, "Icmp.OutRateLimitHost": 3,
    }  # fmt: skip
    dev = "x\ny\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 9 0 0\n"
    assert dict(devices(dev)) == {
        "eth0.rx_errors": 3, "eth0.rx_dropped": 4, "eth0.tx_errors": 7, "eth0.tx_dropped": 8,
        "eth0.collisions": 9,
    }  # fmt: skip
    stat = "entries  invalid insert\n0000000a  00000001 00000010\n0000000a  00000002 00000000\n"
    assert list(hexadecimal(stat, "Conntrack")) == [
        ("Conntrack.invalid", 1), ("Conntrack.insert", 16),
        ("Conntrack.invalid", 2), ("Conntrack.insert", 0),
    ]  # fmt: skip
    assert list(softnet("00000001 0000000f 00000002 0\n")) == [
        ("Softnet.dropped", 15), ("Softnet.squeezed", 2),
    ]  # fmt: skip


def test_the_tier_falls_with_who_can_watch() -> None:
    able = set(catalog())
    letters = [tier(able)[0]]
    for name in ("bpf", "tracefs", "taps", "nft-trace"):
        able.discard(name)
        letters.append(tier(able)[0])
    assert letters == ["A", "B", "C", "C", "D"]
    assert tier({"bpf", "nft-trace"})[0] == "A", "it sees frames by itself"
    assert tier({"bpf", "counters"}) == ("A", "the kernel's own reasons and frames, without rules")
    assert TIERS[-1][1] == frozenset(), "there is always an answer"
