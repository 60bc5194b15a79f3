"""Automatic addresses: one each, where there is room, and the same ones tomorrow."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

from hypothesis import given
from hypothesis import strategies as st

from netlab.model.words import Cidr, Prefix
from netlab.plan.addressing import Full, Member, Segment, number

POOLS: dict[int, Prefix | None] = {4: ip_network("10.0.0.0/16"), 6: ip_network("fd00:10::/48")}


def segment(number_: int, *members: str | None, switched: bool = False) -> Segment:
    """Members n<number>a, n<number>b, …: None is automatic, else addresses separated by blanks."""
    return Segment(
        tuple(
            Member(
                f"n{number_}{chr(ord('a') + place)}",
                "eth0",
                None if text is None else tuple(ip_interface(t) for t in text.split()),
            )
            for place, text in enumerate(members)
        ),
        switched,
    )


def link(number_: int) -> Segment:
    return segment(number_, None, None)


def lan(number_: int, size: int = 2) -> Segment:
    return segment(number_, *[None] * size, switched=True)


def numbered(
    *segments: Segment, ipv4: str = "10.0.0.0/16", ipv6: str = "", taken: tuple[str, ...] = ()
) -> tuple[list[list[str]], list[Full]]:
    """Each segment's addresses, members joined by blanks where they have several; what was full."""
    pools = {4: ip_network(ipv4) if ipv4 else None, 6: ip_network(ipv6) if ipv6 else None}
    found, full = number(segments, pools, [ip_network(t) for t in taken])
    return [
        [" ".join(map(str, found[m.node, m.interface])) for m in s.members] for s in segments
    ], full


# by example


def test_links_share_a_block_and_a_switched_segment_has_its_own() -> None:
    assert numbered(link(0), lan(1, 3), link(2), ipv6="fd00:10::/48") == (
        [
            ["10.0.0.0/31 fd00:10::/127", "10.0.0.1/31 fd00:10::1/127"],
            [
                "10.0.1.1/24 fd00:10:0:1::1/64",
                "10.0.1.2/24 fd00:10:0:1::2/64",
                "10.0.1.3/24 fd00:10:0:1::3/64",
            ],
            ["10.0.0.2/31 fd00:10::2/127", "10.0.0.3/31 fd00:10::3/127"],
        ],
        [],
    )


def test_when_a_block_is_full_of_links_the_next_one_begins() -> None:
    found, full = numbered(lan(0), *map(link, range(1, 130)), ipv6="fd00:10::/48")
    assert found[128][1] == "10.0.1.255/31 fd00:10:0:1::ff/127"
    assert found[129][0] == "10.0.2.0/31 fd00:10:0:2::/127"
    assert not full


def test_two_on_a_switch_may_become_more() -> None:
    assert numbered(lan(0))[0] == [["10.0.0.1/24", "10.0.0.2/24"]]


def test_many_hosts_get_a_larger_subnet() -> None:
    found, full = numbered(lan(0), lan(1, 300), lan(2, 254), lan(3, 255))
    assert (found[1][0], found[1][299]) == ("10.0.2.1/23", "10.0.3.44/23")
    assert found[2][253] == "10.0.4.254/24"
    assert found[3][254] == "10.0.6.255/23"
    assert not full


def test_what_is_written_stays_and_the_others_stand_beside_it() -> None:
    written = segment(0, None, "192.168.7.1/29 fd07::5/64", None, "192.168.7.3/29")
    assert numbered(written, ipv6="fd00:10::/48")[0] == [
        [
            "192.168.7.2/29 fd07::1/64",
            "192.168.7.1/29 fd07::5/64",
            "192.168.7.4/29 fd07::2/64",
            "192.168.7.3/29",
        ]
    ]


def test_where_one_family_is_written_the_other_is_not_added() -> None:
    assert numbered(segment(0, "10.7.0.1/24", None), ipv6="fd00:10::/48")[0] == [
        ["10.7.0.1/24", "10.7.0.2/24"]
    ]


def test_the_first_written_subnet_counts_and_a_lone_address_is_none() -> None:
    written = segment(0, "10.9.9.9/32 10.8.0.1/30", "10.7.0.1/24", None)
    assert numbered(written)[0] == [["10.9.9.9/32 10.8.0.1/30", "10.7.0.1/24", "10.8.0.2/30"]]
    assert numbered(segment(0, "10.9.9.9/32", None)) == ([["10.9.9.9/32", ""]], [])


def test_a_written_link_is_filled_to_its_end() -> None:
    written = segment(0, "10.9.0.1/31 fd09::/127", None)
    assert numbered(written, ipv6="fd00:10::/48") == (
        [["10.9.0.1/31 fd09::/127", "10.9.0.0/31 fd09::1/127"]],
        [],
    )


def test_a_written_subnet_fills_up() -> None:
    assert numbered(segment(0, "10.9.0.1/30", None, None)) == (
        [["10.9.0.1/30", "10.9.0.2/30", ""]],
        [Full(0, "10.9.0.0/30 has no free address left")],
    )


def test_written_without_addresses_is_left_without() -> None:
    assert numbered(segment(0, "", ""), segment(1, "", None, None), segment(2, "", None))[0] == [
        ["", ""],
        ["", "10.0.0.1/24", "10.0.0.2/24"],
        ["", "10.0.1.1/24"],
    ]


def test_the_pool_goes_around_what_is_written_or_taken() -> None:
    written = segment(3, "10.0.1.1/24", "10.0.1.2/24")
    found, full = numbered(
        lan(0), link(1), lan(2), written, taken=("10.0.0.64/30", "10.0.2.0/23", "10.0.3.0/24")
    )
    assert found[:3] == [
        ["10.0.4.1/24", "10.0.4.2/24"],
        ["10.0.5.0/31", "10.0.5.1/31"],
        ["10.0.6.1/24", "10.0.6.2/24"],
    ]
    assert not full


def test_what_lies_within_what_is_taken_makes_no_room() -> None:
    assert numbered(lan(0), taken=("10.0.0.0/22", "10.0.0.64/30"))[0] == [
        ["10.0.4.1/24", "10.0.4.2/24"]
    ]


def test_a_family_that_is_off_is_off_but_for_what_is_written() -> None:
    assert numbered(link(0), segment(1, "fd07::1/64", None), ipv4="") == (
        [["", ""], ["fd07::1/64", "fd07::2/64"]],
        [],
    )


def test_a_used_up_pool_is_told_once_for_each_segment_and_family() -> None:
    assert numbered(lan(0), lan(1), link(2), ipv4="10.0.0.0/24", ipv6="fd00::/64") == (
        [["10.0.0.1/24 fd00::1/64", "10.0.0.2/24 fd00::2/64"], ["", ""], ["", ""]],
        [
            Full(1, "the IPv4 pool 10.0.0.0/24 is used up"),
            Full(2, "the IPv4 pool 10.0.0.0/24 is used up"),
            Full(1, "the IPv6 pool fd00::/64 is used up"),
            Full(2, "the IPv6 pool fd00::/64 is used up"),
        ],
    )


def test_a_small_pool_is_cut_small() -> None:
    found, full = numbered(lan(0), link(1), lan(2, 3), link(3), ipv4="10.0.0.0/28")
    assert found == [
        ["10.0.0.1/30", "10.0.0.2/30"],
        ["10.0.0.4/31", "10.0.0.5/31"],
        ["10.0.0.9/29", "10.0.0.10/29", "10.0.0.11/29"],
        ["", ""],
    ]
    assert full == [Full(3, "the IPv4 pool 10.0.0.0/28 is used up")]


def test_a_pool_with_a_hole_is_used_around_it() -> None:
    written = segment(0, "10.0.0.1/30", None)
    assert numbered(written, link(1), lan(2, 20), ipv4="10.0.0.0/24") == (
        [
            ["10.0.0.1/30", "10.0.0.2/30"],
            ["10.0.0.4/31", "10.0.0.5/31"],
            [f"10.0.0.{32 + host}/27" for host in range(1, 21)],
        ],
        [],
    )


def test_the_least_pools_there_are() -> None:
    assert numbered(link(0), ipv4="10.0.0.0/31", ipv6="fd00::/127") == (
        [["10.0.0.0/31 fd00::/127", "10.0.0.1/31 fd00::1/127"]],
        [],
    )
    assert numbered(link(0), ipv4="10.0.0.0/32")[1] == [
        Full(0, "the IPv4 pool 10.0.0.0/32 is used up")
    ]


# by property


@st.composite
def segments(draw: st.DrawFn, written: bool = True) -> list[Segment]:
    """Links and switched segments, half of them unwritten; a written one is 10.0.X.0/24 or less."""
    found = []
    for place in range(draw(st.integers(1, 12))):
        length = draw(st.sampled_from([24, 26, 30, 31]))
        address = f"10.0.{draw(st.integers(0, 9))}.1/{length}"
        some = st.sampled_from([None, None, "", address] if written else [None, None, ""])
        nobody = st.just(None)
        members = draw(st.lists(some, min_size=1, max_size=5) | st.lists(nobody, min_size=1))
        found.append(segment(place, *members, switched=draw(st.booleans())))
    return found


small_pools = st.sampled_from(["10.0.0.0/16", "10.0.0.0/21", "10.0.0.0/24", "10.0.3.0/27"])


def _of(found: dict[tuple[str, str], tuple[Cidr, ...]], segment: Segment) -> list[Cidr]:
    return [a for m in segment.members for a in found[m.node, m.interface]]


@given(segments(), small_pools, st.lists(st.integers(0, 255), max_size=3))
def test_nothing_is_given_twice(drawn: list[Segment], pool: str, thirds: list[int]) -> None:
    pools = POOLS | {4: ip_network(pool)}
    taken = [ip_network(f"10.0.{t}.0/25") for t in thirds]
    found, _ = number(drawn, pools, taken)
    fresh = [s for s in drawn if not any(m.written for m in s.members)]
    subnets = {a.network for s in fresh for a in _of(found, s)}
    theirs = {a.network for s in drawn for m in s.members for a in m.written or ()}
    for subnet in subnets:
        assert subnet.subnet_of(pools[subnet.version])  # type: ignore[arg-type]
        others = (subnets - {subnet}) | theirs | set(taken)
        assert not any(subnet.overlaps(o) for o in others if o.version == subnet.version)
    for s in drawn:
        given_ = [a for m in s.members if m.written is None for a in found[m.node, m.interface]]
        held = [a for m in s.members for a in m.written or ()]
        assert len({a.ip for a in given_}) == len(given_)
        assert not {a.ip for a in given_} & {a.ip for a in held}
        assert all(_is_host(a) for a in given_)
        assert len({a.network for a in given_ if a.version == 4}) <= 1


def _is_host(address: Cidr) -> bool:
    """Neither its network's own address nor IPv4's broadcast, but on the smallest networks."""
    network = address.network
    if network.prefixlen == network.max_prefixlen - 1:
        return True
    ends = {network[0], network[-1]} if network.version == 4 else {network[0]}
    return address.ip not in ends


@given(segments(), segments(written=False), small_pools)
def test_what_is_added_at_the_end_renumbers_nothing(
    drawn: list[Segment], more: list[Segment], pool: str
) -> None:
    pools = POOLS | {4: ip_network(pool)}
    renamed = [
        Segment(tuple(m._replace(node=f"new-{m.node}") for m in s.members), s.switched)
        for s in more
    ]
    before, full = number(drawn, pools, [])
    after, fuller = number([*drawn, *renamed], pools, [])
    assert {spot: after[spot] for spot in before} == before
    assert [f for f in fuller if f.segment < len(drawn)] == full


@given(segments(), small_pools)
def test_written_wins_and_whoever_lacks_an_address_is_told(drawn: list[Segment], pool: str) -> None:
    found, full = number(drawn, POOLS | {4: ip_network(pool)}, [])
    for place, s in enumerate(drawn):
        waiting = [m for m in s.members if m.written is None]
        lacking = [m for m in waiting if not any(a.version == 4 for a in _found(found, m))]
        assert sum(f.segment == place for f in full) == bool(lacking)
        for m in s.members:
            assert m.written is None or _found(found, m) == m.written


def _found(found: dict[tuple[str, str], tuple[Cidr, ...]], member: Member) -> tuple[Cidr, ...]:
    return found[member.node, member.interface]
