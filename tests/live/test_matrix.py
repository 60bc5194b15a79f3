"""`netlab matrix` on labs of which it is known who reaches whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab import Lab
from netlab.kernel import neighbours
from netlab.matrix.pairs import Pair
from netlab.matrix.survey import Survey
from netlab.matrix.take import Echoes
from tests.live.conftest import Write
from tests.live.world import ROOT, Said, done, eventually, inside, netlab, tool


def words(said: Said, probe: str = "ping") -> dict[str, dict[str, str]]:
    """By who asks, what all others answer."""
    found: dict[str, dict[str, str]] = {}
    for cell in said.json["cells"]:
        if cell["probe"] == probe:
            found.setdefault(cell["from"], {})[cell["to"]] = cell["is"]
    return found


def told(said: Said, source: str, target: str) -> tuple[str, str, str]:
    (found,) = (c for c in said.json["cells"] if (c["from"], c["to"]) == (source, target))
    return found["is"], found["by"], found["why"]


def catalogued(write: Write, name: str) -> Path:
    """A topology of the catalogue, under the test's own name."""
    text = (ROOT / "topologies" / f"{name}.yaml").read_text()
    return write("\n".join(line for line in text.splitlines() if not line.startswith("name:")))


def test_two_lans_reach_each_other_and_nothing_is_left(write: Write, lab: str) -> None:
    """alice, bob ── left ── gw ── right ── dora"""
    said = netlab("matrix", catalogued(write, "two-lans"), "--json")
    nodes = ["alice", "bob", "dora", "gw"]
    assert (said.code, said.json["nodes"], said.json["left_out"]) == (0, nodes, ["left", "right"])
    others = {a: [b for b in nodes if b != a] for a in nodes}
    assert words(said) == {a: dict.fromkeys(others[a], "answered") for a in nodes}
    assert netlab("show", lab).code == 5


def test_who_is_behind_the_gateway_is_not_to_be_found(write: Write) -> None:
    """alice, bob ── lan ── gw ── web"""
    said = netlab("matrix", catalogued(write, "nat-gateway"), "--tcp", "80,81", "--json")
    assert words(said, "tcp 80")["alice"] == {"bob": "refused", "gw": "refused", "web": "answered"}
    assert words(said, "tcp 81")["alice"] == {"bob": "refused", "gw": "refused", "web": "refused"}
    assert words(said, "tcp 80")["web"] == dict.fromkeys(["alice", "bob", "gw"], "no-route")
    assert said.json["probes"] == ["tcp 80", "tcp 81"]


def test_a_firewall_is_as_it_says(write: Write) -> None:
    """office, db ── inside ── fw ── dmz ── www, mail;  fw ── world ── customer, villain"""
    said = netlab("matrix", catalogued(write, "dmz-firewall"), "--json")
    found = words(said)
    away = {"customer": "answered", "villain": "answered"}
    assert found["office"] == {"db": "answered", "www": "denied", "mail": "denied",
                               "fw": "answered", **away}  # fmt: skip
    assert found["customer"] == {"office": "denied", "db": "denied", "www": "denied",
                                 "mail": "denied", "fw": "answered",
                                 "villain": "answered"}  # fmt: skip
    assert set(found["fw"].values()) == {"answered"}


# client ── fw ── lan ── db, logs, web
FILTERED = """
routing: static
nodes:
  client:
  fw:
    kind: router
    nftables: |
      table inet f {
        chain forward {
          type filter hook forward priority filter
          ip daddr 10.2.0.5 drop
          ip daddr 10.2.0.6 reject with icmp admin-prohibited
        }
      }
  db:
  logs: {routes: [{to: 10.1.0.0/24, type: blackhole}]}
  web:
    nftables: |
      table inet f {
        chain out { type filter hook output priority 0; ip daddr 10.2.0.5 drop; }
      }
  lan: {kind: switch}
  lonely: {}
links:
  - ["client:eth0 10.1.0.2/24", "fw:a 10.1.0.1/24"]
  - ["fw:b 10.2.0.1/24", lan]
  - ["db:eth0 10.2.0.5/24", lan]
  - ["logs:eth0 10.2.0.6/24", lan]
  - ["web:eth0 10.2.0.7/24", lan]
"""


@pytest.fixture
def filtered(write: Write, lab: str) -> str:
    done("up", write(FILTERED))
    return lab


def test_every_end_has_its_word_and_who_said_so(write: Write) -> None:
    file = write(FILTERED)
    said = netlab("matrix", file, "--json")
    word, by, why = told(said, "client", "db")
    assert (word, by) == ("denied", "")
    assert why.startswith("foretold: a rule of fw drops the packet without a word")
    assert why.endswith(f"ip daddr 10.2.0.5 drop ({file}:11)")
    word, by, why = told(said, "db", "client")
    assert why.startswith("foretold: a rule of fw drops the answer")
    assert told(said, "client", "logs") == ("unreachable", "fw", "administratively prohibited")
    assert told(said, "client", "web") == ("answered", "web", "")
    assert told(said, "logs", "client") == ("unreachable", "logs", "its blackhole route")
    assert told(said, "web", "db") == ("denied", "web", "a rule of its own drops it on the way out")
    assert told(said, "web", "lonely") == ("no-address", "", "lonely has no address")
    assert told(said, "lonely", "web") == ("no-address", "", "lonely has no address")


def test_a_cut_link_is_told_by_names(filtered: str, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    done("matrix", filtered, "--save", golden)
    assert "as in " in done("matrix", filtered, "--against", golden)
    assert inside(filtered, "lan", "ip", "link", "set", "web", "down").code == 0
    said = netlab("matrix", filtered, "--against", golden)
    assert said.code == 1
    nobody = "nobody on its segment answers"
    assert f"  fw → web: was answered, is no-neighbour  ({nobody})\n" in said.out
    assert "  client → web: was answered, is unreachable  (host unreachable)\n" in said.out
    assert "  web → fw: was answered, is no-neighbour" in said.out
    documents = netlab("matrix", filtered, "--against", golden, "--json").json
    assert {"source": "fw", "target": "web", "probe": "ping", "was": "answered",
            "now": "no-neighbour", "why": nobody} in documents["differences"]  # fmt: skip
    assert inside(filtered, "lan", "ip", "link", "set", "web", "up").code == 0
    eventually(lambda: netlab("matrix", filtered, "--against", golden).code == 0)


def test_what_was_asked_is_asked_again(filtered: str, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    done("matrix", filtered, "--tcp", "7", "--udp", "9", "--save", golden)
    said = netlab("matrix", filtered, "--against", golden, "--json")
    assert (said.code, said.json["probes"]) == (0, ["tcp 7", "udp 9"])
    assert words(said, "udp 9")["client"]["web"] == "refused"
    assert words(said, "udp 9")["client"]["logs"] == "unreachable"
    assert words(said, "tcp 7")["client"]["logs"] == "unreachable"
    other = netlab("matrix", filtered, "--tcp", "8", "--against", golden)
    assert (other.code, "holds tcp 7, udp 9, not tcp 8" in other.err) == (2, True)
    assert netlab("matrix", filtered, "-6", "--against", golden).code == 2


def test_a_page_holds_all_pairs(filtered: str, tmp_path: Path) -> None:
    page = tmp_path / "matrix.html"
    said = netlab("matrix", filtered, "--json", "--html", page)
    text = page.read_text()
    assert text.count("<td class=") == len(said.json["cells"]) == 30
    assert "client → logs (10.2.0.6) ping: unreachable, fw: administratively prohibited" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--tcp", "80,web"], "--tcp 80,web: 'web' is no port"),
        (["--udp", "0"], "--udp 0: '0' is no port"),
        (["--tcp", "65536"], "'65536' is no port"),
        (["-4", "-6"], "-4 or -6, not both"),
        (["--within", "0.5"], "--within"),
        (["--within", "500ms"], "TCP and ARP ask again after a second"),
        (["--save", "/nowhere/x.json"], "--save /nowhere/x.json: there is no directory /nowhere"),
        (["--against", "/nowhere/x.json"], "--against /nowhere/x.json: No such file"),
    ],
)
def test_wrong_words_are_told_before_anything_is_touched(
    write: Write, lab: str, options: list[str], sentence: str
) -> None:
    said = netlab("matrix", write(FILTERED), *options)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert netlab("show", lab).code == 5


def test_addresses_that_came_by_themselves_are_asked(write: Write, lab: str) -> None:
    """gw ── lan ── alice, bob, web: by router advertisements alone"""
    done("up", catalogued(write, "slaac"))

    def answered() -> bool:
        cells = netlab("matrix", lab, "-6", "--json").json["cells"]
        return all(cell["is"] == "answered" and ":" in cell["address"] for cell in cells)

    eventually(answered)


def hundred(count: int = 100) -> str:
    hosts = [f"h{number}" for number in range(count)]
    links = "".join(f"  - [{host}, sw]\n" for host in hosts)
    nodes = "".join(f"  {host}:\n" for host in hosts)
    return f"nodes:\n  sw: {{kind: switch}}\n{nodes}links:\n{links}"


CALM = 60.0
"""Seconds: fresh hosts announce themselves to all ports of a switch, which crowds out the rest."""


@pytest.mark.parametrize("version", ["-4", "-6"])
def test_a_hundred_nodes_on_one_switch_all_answer(write: Write, lab: str, version: str) -> None:
    """More neighbours than the machine's table of IPv6 holds: 9,900, and 1,024 by default."""
    done("up", write(hundred()))

    def all_answer() -> bool:
        found = words(netlab("matrix", lab, version, "--json"))
        assert (len(found), {len(row) for row in found.values()}) == (100, {99})
        return {word for row in found.values() for word in row.values()} == {"answered"}

    eventually(all_answer, CALM)


def test_one_of_a_hundred_is_found(write: Write, lab: str) -> None:
    done("up", write(hundred()))
    assert inside(lab, "sw", "ip", "link", "set", "h7", "down").code == 0

    def found() -> str:
        said = done("matrix", lab)
        return said if "9,702 answered, 198 no-neighbour" in said else ""

    said = eventually(found, CALM)
    assert "h0 +98  answered      no-neighbour\n" in said
    assert max(map(len, said.splitlines())) <= 100


class Narrow:
    """A table of neighbours that is always nearly full."""

    def __init__(self) -> None:
        self.turns = 0

    def pairs(self, entries: int) -> int:
        self.turns += 1
        return 3

    def refused(self) -> int:
        return 0

    def doubt(self) -> None: ...


def test_in_little_room_the_same_comes_out(prefix: str, host_unchanged: None) -> None:
    with Lab(hundred(6), name=prefix) as lab:
        hosts = [name for name in lab.nodes if name != "sw"]
        lab.link("sw", "h5").down()
        address = {host: lab.addresses(host)[0] for host in hosts}
        pairs = [Pair(a, b, address[b]) for a in hosts for b in hosts if a != b]
        prober, room = Echoes(lab, pairs), Narrow()
        try:
            found = Survey(lab, pairs, prober, room, lab.nodes, 1.5).run()  # type: ignore[arg-type]
        finally:
            prober.close()
        assert room.turns >= len(pairs) / 3
        for place, pair in enumerate(pairs):
            expected = {"no-neighbour", "no-route"} if "h5" in pair[:2] else {"answered"}
            assert found[place].word in expected, pair


def test_what_was_learned_is_forgotten_and_what_was_set_stays(
    prefix: str, host_unchanged: None
) -> None:
    """h0 ── sw ── h1, h2"""
    with Lab(hundred(3), name=prefix) as lab:
        a, b = lab.addresses("h1")[0], "10.0.0.77"
        set_one = ("ip", "neigh", "add", b, "lladdr", "02:00:00:00:00:77", "dev", "eth0")
        lab["h0"].run(*set_one)
        assert lab["h0"].ping("h1")
        assert lab["h0"].ping("h2")
        known = lab.inside("h0", neighbours.learned)
        assert {address for _, address in known if "." in address} == {
            a, lab.addresses("h2")[0],
        }  # fmt: skip
        kept = {(device, address) for device, address in known if address == a}
        lab.inside("h0", lambda: neighbours.forget(kept))
        held = tool("ip", "-4", "-n", f"{prefix}.h0", "neigh").split("\n")
        assert sorted(line.split()[0] for line in held if line) == sorted([a, b])


def test_the_table_of_neighbours_is_the_machines() -> None:
    found = neighbours.tables()
    for version, family in ((4, "ipv4"), (6, "ipv6")):
        limit = Path(f"/proc/sys/net/{family}/neigh/default/gc_thresh3").read_text()
        assert found[version].most == int(limit)
        assert 0 <= found[version].entries <= found[version].most


def test_pings_in_python_are_answered_by_name(prefix: str, host_unchanged: None) -> None:
    """client ── fw ── lan ── db, logs, web"""
    with Lab(FILTERED, name=prefix) as lab:
        assert lab["client"].pings() == {
            "fw": "answered", "db": "denied", "logs": "unreachable", "web": "answered",
        }  # fmt: skip
        assert lab["fw"].pings(["web", "10.2.0.5"]) == {"web": "answered", "10.2.0.5": "answered"}
        found = lab.matrix(tcp=[80]).of("tcp 80")
        assert found["client", "web"].word == "refused"
        assert found["client", "db"].word == "denied"
        assert not any("lan" in pair for pair in found)


def test_two_hundred_are_pinged_by_one(prefix: str, host_unchanged: None) -> None:
    with Lab(hundred(200), name=prefix) as lab:
        all_answer = dict.fromkeys([f"h{n}" for n in range(1, 200)], "answered")
        for version in (4, 6):
            eventually(lambda v=version: lab["h0"].pings(version=v) == all_answer, CALM)


def test_the_example_of_the_readme_is_true(write: Write, lab: str, tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text()
    done("up", catalogued(write, "dmz-firewall"))
    golden = tmp_path / "golden.json"
    done("matrix", lab, "--save", golden)
    rule = "add rule inet filter dmz-inside ip daddr 10.1.0.5 icmp type echo-request accept"
    assert inside(lab, "fw", "nft", *rule.split()).code == 0
    said = netlab("matrix", lab, "--against", golden)
    assert said.code == 1
    differences = said.out.partition(f"2 differences from {golden}:\n")[2]
    assert differences
    assert f"2 differences from golden.json:\n{differences}" in page


def test_a_golden_file_in_json_is_one_too(filtered: str, tmp_path: Path) -> None:
    golden = tmp_path / "whole.json"
    golden.write_text(netlab("matrix", filtered, "--json").out)
    assert json.loads(golden.read_text())["format"] == "netlab.matrix/1"
    assert netlab("matrix", filtered, "--against", golden).code == 0
