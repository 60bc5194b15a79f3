"""Computed routes, held against a search that is as plain as it is slow."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from hypothesis import event, given
from hypothesis import strategies as st

from netlab.plan.routing import Attachment, Groups, routes
from netlab.resources.network import Hop

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
SUBNETS = {4: "10.0.0.0/24", 6: "fd00::/120"}
OWN = {4: "10.9.0.0/28", 6: "fd00:9::/124"}


@dataclass(frozen=True)
class Net:
    """A drawing: which nodes forward, who stands on which segment, who owns which prefix."""

    family: int
    forwards: dict[str, bool]
    attachments: tuple[Attachment, ...]
    prefixes: tuple[tuple[str, int | None, str | None], ...]
    written: dict[str, frozenset[str]]

    def routes(self) -> dict[str, Groups]:
        return routes(self.family, self.attachments, self.prefixes, self.written)


def net(
    segments: list[str],
    hosts: str = "",
    own: dict[str, str] | None = None,
    written: dict[str, set[str]] | None = None,
    family: int = 4,
    at: list[str] | None = None,
) -> Net:
    """``net(["ab", "bc"], hosts="c")``: nodes are letters, a segment is a word of them.

    Segment i is the i-th /29 of 10.0.0.0/24 unless ``at`` says where, and x's interface eth<i>;
    a prefix of ``own`` is its owner's.
    """
    size = 29 if family == 4 else 125
    at = at or [str(p) for p in ip_network(SUBNETS[family]).subnets(new_prefix=size)]
    own = own or {}
    names = dict.fromkeys("".join(segments) + "".join(own.values()))
    forwards = {name: name not in hosts for name in names}
    attachments = tuple(
        Attachment(name, f"eth{i}", i, str(ip_network(at[i])[place]), forwards[name])
        for i, members in enumerate(segments)
        for place, name in enumerate(members, 1)
    )
    prefixes = (
        *((at[i], i, None) for i in range(len(segments))),
        *((prefix, None, owner) for prefix, owner in own.items()),
    )
    kept = {name: frozenset(texts) for name, texts in (written or {}).items()}
    return Net(family, forwards, attachments, prefixes, kept)


def table(drawn: Net, node: str) -> dict[str, set[str]]:
    """A node's routes as ``{prefix: {"gateway device"}}``."""
    return {
        prefix: {f"{gateway} {device}" for gateway, device, _, _ in hops}
        for hops, prefixes in drawn.routes().get(node, ())
        for prefix in prefixes
    }


# by example


def test_a_chain_leads_over_its_middle() -> None:
    """a ── b ── c ── d"""
    drawn = net(["ab", "bc", "cd"])
    assert table(drawn, "a") == {
        "10.0.0.8/29": {"10.0.0.2 eth0"},
        "10.0.0.16/29": {"10.0.0.2 eth0"},
    }
    assert table(drawn, "b") == {"10.0.0.16/29": {"10.0.0.10 eth1"}}


def test_next_hops_are_equal_and_in_order() -> None:
    """a ── b ── d ── e, a ── c ── d"""
    drawn = net(["ab", "ac", "bd", "cd", "de"])
    by_prefix = {p: hops for hops, prefixes in drawn.routes()["a"] for p in prefixes}
    assert by_prefix["10.0.0.32/29"] == (
        ("10.0.0.2", "eth0", 1, False),
        ("10.0.0.10", "eth1", 1, False),
    )
    assert drawn.routes() == drawn.routes()


def test_two_links_side_by_side_are_two_ways() -> None:
    """a ══ b ── c"""
    drawn = net(["ab", "ab", "bc"])
    assert table(drawn, "a") == {"10.0.0.16/29": {"10.0.0.2 eth0", "10.0.0.10 eth1"}}


def test_two_subnets_on_one_link_are_one_way() -> None:
    """a ── b ── c, with two subnets on a ── b: the first address there is the gateway."""
    drawn = net(["ab", "ab", "bc"])
    one_link = tuple(
        a._replace(interface="eth0") if a.segment == 1 else a for a in drawn.attachments
    )
    drawn = Net(4, drawn.forwards, one_link, drawn.prefixes, {})
    assert table(drawn, "a") == {"10.0.0.16/29": {"10.0.0.2 eth0"}}


def test_a_host_is_no_way_through() -> None:
    """a ── h ── b: h forwards nothing, so a and b are apart."""
    assert net(["ah", "hb"], hosts="h").routes() == {}


def test_a_router_at_the_end_tells_its_hosts_of_what_lies_beyond() -> None:
    """c ── d ── r ── h ── s ── t: of h's neighbours r has one that forwards."""
    drawn = net(["cd", "dr", "rh", "hs", "st"], hosts="h")
    assert table(drawn, "h") == {
        "10.0.0.0/28": {"10.0.0.17 eth2"},
        "10.0.0.32/29": {"10.0.0.26 eth3"},
    }


def test_a_hosts_own_prefix_is_reached_at_the_host() -> None:
    """a ── b ── h (10.9.0.1/32)"""
    drawn = net(["ab", "bh"], hosts="h", own={"10.9.0.1/32": "h"})
    assert table(drawn, "a")["10.9.0.1/32"] == {"10.0.0.2 eth0"}
    assert table(drawn, "b") == {"10.9.0.1/32": {"10.0.0.10 eth1"}}


def test_a_host_with_one_way_out_has_a_default_route() -> None:
    """h ── a ── b ── k, both families"""
    for family in (4, 6):
        drawn = net(["ha", "ab", "bk"], hosts="hk", family=family)
        assert list(table(drawn, "h")) == [DEFAULT[family]]
        assert DEFAULT[family] not in table(drawn, "a")


def test_a_written_default_route_stays_alone_in_its_place() -> None:
    """h ── a ── b"""
    drawn = net(["ha", "ab"], hosts="h", written={"h": {"0.0.0.0/0"}})
    assert table(drawn, "h") == {"10.0.0.8/29": {"10.0.0.2 eth0"}}


def test_a_default_of_the_other_family_does_not_count() -> None:
    """h ── a ── b"""
    drawn = net(["ha", "ab"], hosts="h", written={"h": {"::/0"}})
    assert list(table(drawn, "h")) == ["0.0.0.0/0"]


def test_a_host_between_two_routers_has_no_default_route() -> None:
    """a ── b ── h ── c ── d"""
    drawn = net(["ab", "bh", "hc", "cd"], hosts="h")
    assert table(drawn, "h") == {
        "10.0.0.0/29": {"10.0.0.9 eth1"},
        "10.0.0.24/29": {"10.0.0.18 eth2"},
    }


def test_halves_become_a_whole() -> None:
    """a ── b, and b stands on four /29 more: a /27 exactly."""
    at = ["10.1.0.0/29", "10.0.0.0/29", "10.0.0.8/29", "10.0.0.16/29", "10.0.0.24/29"]
    drawn = net(["ab", "bc", "bd", "be", "bf"], at=at)
    assert table(drawn, "a") == {"10.0.0.0/27": {"10.1.0.2 eth0"}}
    assert table(net(["ab", "bc", "bd", "be"], at=at[:4]), "a") == {
        "10.0.0.0/28": {"10.1.0.2 eth0"},
        "10.0.0.16/29": {"10.1.0.2 eth0"},
    }


def test_everything_there_is_does_not_become_a_default_route() -> None:
    """a ── b, and b has both halves of all addresses."""
    own = {"0.0.0.0/1": "b", "128.0.0.0/1": "b"}
    assert table(net(["ab"], own=own, at=["192.0.2.0/29"]), "a").keys() == {
        "0.0.0.0/1",
        "128.0.0.0/1",
    }


def test_halves_do_not_take_the_place_of_a_prefix_that_is_there() -> None:
    """c ── a ── b: b has two /30, c the /29 around them."""
    at = ["10.1.0.0/29", "10.2.0.0/29"]
    own = {"10.0.0.0/30": "b", "10.0.0.4/30": "b", "10.0.0.0/29": "c"}
    assert table(net(["ab", "ac"], at=at, own=own), "a") == {
        "10.0.0.0/30": {"10.1.0.2 eth0"},
        "10.0.0.4/30": {"10.1.0.2 eth0"},
        "10.0.0.0/29": {"10.2.0.2 eth1"},
    }


def test_a_wider_route_of_the_users_is_not_hidden_nor_does_it_hide() -> None:
    """a ── b: a's user wrote the /28 that two /29 of b make up."""
    at = ["10.1.0.0/29", "10.0.0.0/29", "10.0.0.8/29"]
    drawn = net(["ab", "bc", "bd"], at=at, written={"a": {"10.0.0.0/28"}})
    assert table(drawn, "a").keys() == {"10.0.0.0/29", "10.0.0.8/29"}


def test_link_local_addresses_are_nobodys_destination() -> None:
    """a ── b ── c: fe80::/64 on b ── c is on every link, but may be a gateway."""
    drawn = net(["ab", "bc"], family=6, at=["fd00::/64", "fe80::/64"])
    assert table(drawn, "a") == {}
    assert table(drawn, "c") == {"fd00::/64": {"fe80::1 eth1"}}


def test_a_subnet_in_two_places_is_reached_at_the_nearer() -> None:
    """a ── b ── c ── d: 10.0.0.0/29 is at a's other side and at d's."""
    drawn = net(["xa", "ab", "bc", "cd", "dy"], hosts="xy")
    far = tuple(("10.0.0.0/29", 4, None) if p[1] == 4 else p for p in drawn.prefixes)
    drawn = Net(4, drawn.forwards, drawn.attachments, far, {})
    assert table(drawn, "b")["10.0.0.0/29"] == {"10.0.0.9 eth1"}
    assert table(drawn, "c")["10.0.0.0/29"] == {"10.0.0.26 eth3"}


# by property


@st.composite
def nets(draw: st.DrawFn) -> Net:
    """Up to eight nodes on up to nine segments, wherever; prefixes next to each other, mixed."""
    family = draw(st.sampled_from([4, 6]))
    names = "abcdefgh"[: draw(st.integers(2, 8))]
    words = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)
    segments = draw(st.lists(words.map("".join), min_size=1, max_size=9))
    hosts = draw(st.sets(st.sampled_from(names), max_size=3))
    size = 29 if family == 4 else 125
    places = [str(p) for p in ip_network(SUBNETS[family]).subnets(new_prefix=size)]
    at = draw(st.permutations(places[: len(segments) + 1]))
    alone = [str(p) for p in ip_network(OWN[family]).subnets(new_prefix=32 if family == 4 else 128)]
    owned = draw(st.lists(st.sampled_from(alone), max_size=8, unique=True))
    own = {prefix: draw(st.sampled_from(names)) for prefix in owned}
    wider = [str(ip_network(places[0]).supernet(bits)) for bits in (1, 2, 3)]
    theirs = [*at[: len(segments)], *owned, *wider, DEFAULT[family]]
    some = st.sets(st.sampled_from(theirs), max_size=3)
    written = draw(st.dictionaries(st.sampled_from(names), some, max_size=3))
    return net(segments, "".join(hosts), own, written, family, at)


@given(nets())
def test_routes_are_the_shortest_paths(drawn: Net) -> None:
    for node, found in _tables(drawn).items():
        own = drawn.written.get(node, frozenset())
        default = found.get(ip_network(DEFAULT[drawn.family]))
        for prefix in {p for p, _, _ in drawn.prefixes}:
            nearest = _nearest(drawn, prefix)
            event(f"hops {len(nearest[node])}")
            for address in _ends(prefix):
                hops = _lookup(found, address)
                if prefix in own or node in _holders(drawn, prefix):
                    assert hops in (None, default)
                elif nearest[node]:
                    assert hops is not None
                    assert set(hops) == nearest[node]
                    assert list(hops) == sorted(set(hops), key=lambda h: (h[1], h[0]))
                else:
                    assert hops in (None, default)


@given(nets())
def test_whoever_follows_the_routes_arrives(drawn: Net) -> None:
    tables = _tables(Net(drawn.family, drawn.forwards, drawn.attachments, drawn.prefixes, {}))
    at = {a.address: a.node for a in drawn.attachments}
    for prefix in {p for p, _, _ in drawn.prefixes}:
        distance = _distances(drawn, prefix)
        for start in tables:
            far = distance[start]
            if far is None or prefix in drawn.written.get(start, ()):
                continue
            here = {start}
            for left in range(far, 0, -1):
                assert all(distance[node] == left for node in here)
                assert all(drawn.forwards[node] for node in here - {start})
                ways = [_lookup(tables[n], a) for n in here for a in _ends(prefix)]
                assert all(ways)
                here = {at[gateway] for hops in ways for gateway, *_ in hops or ()}
            assert here <= _holders(drawn, prefix)


@given(nets())
def test_one_way_to_everything_is_a_default_route_for_hosts_only(drawn: Net) -> None:
    default = ip_network(DEFAULT[drawn.family])
    for node, found in _tables(drawn).items():
        own = drawn.written.get(node, frozenset())
        kinds = {
            frozenset(_nearest(drawn, p)[node])
            for p, _, _ in drawn.prefixes
            if node not in _holders(drawn, p)
        } - {frozenset()}
        if default in found:
            assert not drawn.forwards[node]
            assert DEFAULT[drawn.family] not in own
            assert list(found) == [default]
            assert len(kinds) <= 1
        elif len(kinds) == 1:
            assert drawn.forwards[node] or DEFAULT[drawn.family] in own


@given(nets())
def test_putting_together_adds_no_address(drawn: Net) -> None:
    known = {ip_network(p) for p, _, _ in drawn.prefixes}
    for node, found in _tables(drawn).items():
        for prefix in found.keys() - {ip_network(DEFAULT[drawn.family])}:
            parts = [p for p in known if p.subnet_of(prefix)]  # type: ignore[arg-type]
            assert sum(p.num_addresses for p in parts) == prefix.num_addresses
            assert all(node not in _holders(drawn, str(p)) for p in parts)
        written = {ip_network(p) for p in drawn.written.get(node, ())}
        assert not found.keys() & written


@given(nets())
def test_who_wins_beside_the_users_routes_is_as_if_nothing_were_put_together(drawn: Net) -> None:
    for node, found in _tables(drawn).items():
        own: Table = {ip_network(p): () for p in drawn.written.get(node, ())}
        if ip_network(DEFAULT[drawn.family]) in found:
            continue
        reached = {
            p for p, ways in ((p, _nearest(drawn, p)[node]) for p, _, _ in drawn.prefixes) if ways
        }
        singly: Table = {ip_network(p): (("", p, 1, False),) for p in reached} | own
        for address in (a for prefix in reached for a in _ends(prefix)):
            users = _lookup(singly, address) == ()
            assert (_lookup(found | own, address) == ()) == users


# the plain search


Table = dict[IPv4Network | IPv6Network, tuple[Hop, ...]]


def _tables(drawn: Net) -> dict[str, Table]:
    found = drawn.routes()
    tables: dict[str, Table] = {}
    for node in drawn.forwards:
        groups = found.get(node, ())
        assert all(hops and prefixes for hops, prefixes in groups)
        assert len({hops for hops, _ in groups}) == len(groups)
        pairs = [(ip_network(p), hops) for hops, prefixes in groups for p in prefixes]
        tables[node] = dict(pairs)
        assert len(tables[node]) == len(pairs)
    return tables


def _lookup(found: Table, address: str) -> tuple[Hop, ...] | None:
    inside = [prefix for prefix in found if ip_address(address) in prefix]
    return found[max(inside, key=lambda p: p.prefixlen)] if inside else None


def _ends(prefix: str) -> tuple[str, str]:
    return str(ip_network(prefix)[0]), str(ip_network(prefix)[-1])


def _holders(drawn: Net, prefix: str) -> set[str]:
    """Who needs no route: it is their own, or they stand on it."""
    numbers = {n for p, n, _ in drawn.prefixes if p == prefix and n is not None}
    standing = {a.node for a in drawn.attachments if a.segment in numbers}
    return standing | {o for p, _, o in drawn.prefixes if p == prefix and o is not None}


def _next(drawn: Net, node: str) -> set[tuple[str, Hop]]:
    mine = [a for a in drawn.attachments if a.node == node]
    return {
        (b.node, (b.address, a.interface, 1, False))
        for a in mine
        for b in drawn.attachments
        if a.segment == b.segment and b.node != node
    }


def _may_follow(drawn: Net, node: str, prefix: str) -> bool:
    """Whether it can bring a packet for that prefix on its way, or is where it goes."""
    return drawn.forwards[node] or any(p == prefix and o == node for p, _, o in drawn.prefixes)


def _distances(drawn: Net, prefix: str) -> dict[str, int | None]:
    distance: dict[str, int | None] = dict.fromkeys(drawn.forwards)
    distance |= dict.fromkeys(_holders(drawn, prefix), 0)
    for step in range(1, len(distance) + 1):
        for node in [n for n, d in distance.items() if d is None]:
            near = {n for n, _ in _next(drawn, node) if _may_follow(drawn, n, prefix)}
            if any(distance[n] == step - 1 for n in near):
                distance[node] = step
    return distance


def _nearest(drawn: Net, prefix: str) -> dict[str, set[Hop]]:
    """The next hops of every node on its shortest paths to that prefix; none where it stands."""
    distance = _distances(drawn, prefix)
    return {
        node: {
            hop
            for other, hop in _next(drawn, node)
            if far and distance[other] == far - 1 and _may_follow(drawn, other, prefix)
        }
        for node, far in distance.items()
    }
