"""Who asks whom, at which address."""

from __future__ import annotations

from netlab.matrix.pairs import TILE, Pair, in_tiles, pairs


def test_every_pair_comes_once_and_both_directions_together() -> None:
    nodes = [f"n{number}" for number in range(2 * TILE + 5)]
    found = list(in_tiles(nodes))
    assert len(found) == len(set(found)) == len(nodes) * (len(nodes) - 1)
    assert all(found[at] == found[at + 1][::-1] for at in range(0, len(found), 2))


def test_few_nodes_are_busy_at_a_time() -> None:
    nodes = [f"n{number}" for number in range(8 * TILE)]
    found = list(in_tiles(nodes))
    stretch = found[: TILE * TILE]
    assert len({node for pair in stretch for node in pair}) <= 3 * TILE


def test_the_first_address_of_a_common_version_is_asked() -> None:
    held = {
        "a": ["127.0.0.1", "10.0.0.1", "10.0.0.2", "fd00::1"],
        "b": ["fe80::2", "fd00::2", "10.0.0.9"],
        "c": ["fd00::3"],
    }
    found = {(p.source, p.target): p.address for p in pairs(held, 0)}
    assert found == {
        ("a", "b"): "10.0.0.9", ("b", "a"): "10.0.0.1", ("a", "c"): "fd00::3",
        ("c", "a"): "fd00::1", ("b", "c"): "fd00::3", ("c", "b"): "fd00::2",
    }  # fmt: skip


def test_who_has_no_address_is_named() -> None:
    held = {"a": ["10.0.0.1"], "b": ["fd00::2"], "c": []}
    assert sorted(pairs(held, 4)) == [
        Pair("a", "b", "", "b has no IPv4 address"),
        Pair("a", "c", "", "c has no IPv4 address"),
        Pair("b", "a", "", "b has no IPv4 address"),
        Pair("b", "c", "", "c has no IPv4 address"),
        Pair("c", "a", "", "c has no IPv4 address"),
        Pair("c", "b", "", "b has no IPv4 address"),
    ]
    either = {(p.source, p.target): p.why for p in pairs(held, 0)}
    assert either["a", "b"] == "a and b have no version of IP in common"
    assert either["c", "a"] == "c has no address"
