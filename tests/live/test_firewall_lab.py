"""Rules of a topology in the real kernel, with nft(8) as the judge.

alice ── (lan) gw (wan) ── web
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.world import done, inside, netlab, tool

TEXT = """\
nodes:
  alice: {{routes: [{{to: default, via: 192.168.1.1}}]}}
  gw:
    kind: router
    nftables: |
      define inside = "lan"

      table inet filter {{
        set ports {{ type inet_service; elements = {{ {ports} }} }}
        chain forward {{
          type filter hook forward priority filter; policy drop;
          ct state established,related counter accept
          iifname $inside oifname "wan" counter accept comment "clients go out"
          iif "wan" tcp dport @ports counter drop
        }}
      }}
      table ip nat {{
        chain post {{
          type nat hook postrouting priority srcnat;
          oifname "wan" counter masquerade
        }}
      }}
  web: {{nftables: {{file: rules/web.nft}}}}
links:
  - ["alice:eth0 192.168.1.2/24", "gw:lan 192.168.1.1/24"]
  - ["gw:wan 203.0.113.1/24", "web:eth0 203.0.113.2/24"]
"""
WEB = """\
include "more.nft"
table inet in {
  chain input {
    type filter hook input priority 0;
    icmp type $kind counter
  }
}
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "web.nft").write_text(WEB)
    (rules / "more.nft").write_text("define kind = echo-request\n")
    return rules


def held(lab: str, node: str) -> str:
    return tool("ip", "netns", "exec", f"{lab}.{node}", "nft", "-s", "list", "ruleset")


def packets(lab: str, node: str) -> dict[str, int]:
    """By line: the packets that a rule has counted."""
    shown = netlab("show", lab, node, "--rules", "--json").json["rules"]
    return {rule["place"].rpartition("/")[2]: rule["packets"] for rule in shown}


def test_rules_are_loaded_as_nft_would_and_shown_with_their_lines(
    write: Write, lab: str, beside: Path, tmp_path: Path
) -> None:
    file = write(TEXT.format(ports="22, 80"))
    done("up", file)
    text = "".join(file.read_text().partition("nftables: |\n")[2].partition("  web:")[0])
    (tmp_path / "plain.nft").write_text(text)
    tool("ip", "netns", "add", f"{lab}.judge")
    try:
        judge = ("ip", "netns", "exec", f"{lab}.judge", "nft")
        tool("ip", "-n", f"{lab}.judge", "link", "add", "lan", "type", "veth", "peer", "wan")
        tool(*judge, "-f", str(tmp_path / "plain.nft"))
        assert held(lab, "gw") == tool(*judge, "-s", "list", "ruleset")
    finally:
        tool("ip", "netns", "del", f"{lab}.judge")
    assert inside(lab, "alice", "ping", "-c1", "-W2", "web").code == 0
    assert packets(lab, "gw") == {
        f"{lab}.yaml:12": 1, f"{lab}.yaml:13": 1, f"{lab}.yaml:14": 0, f"{lab}.yaml:20": 1,
    }  # fmt: skip
    assert packets(lab, "web") == {"web.nft:5": 1}
    said = done("show", lab, "gw", "--rules")
    assert "table inet filter  chain forward" in said
    assert 'oifname "wan" counter packets 1 bytes 84 masquerade' in said


def test_only_tables_that_differ_are_made_anew(write: Write, lab: str, beside: Path) -> None:
    file = write(TEXT.format(ports="22, 80"))
    done("up", file)
    assert inside(lab, "alice", "ping", "-c1", "-W2", "web").code == 0
    write("# a line more, which is no change\n" + TEXT.format(ports="22, 80"))
    assert "unchanged" in done("up", file)
    write(TEXT.format(ports="22, 443"))
    assert "1 step" in done("up", file)
    assert "443" in held(lab, "gw")
    counted = packets(lab, "gw")
    assert counted[f"{lab}.yaml:13"] == 0
    assert counted[f"{lab}.yaml:20"] == 1
    write(TEXT.format(ports="1").replace("nftables", "description", 1).replace(
        "{nftables: {file: rules/web.nft}}", "{}"))  # fmt: skip
    done("up", file)
    assert held(lab, "gw") == held(lab, "web") == ""


def test_rules_that_know_a_device_by_index_are_loaded_again_with_it(
    write: Write, lab: str, beside: Path
) -> None:
    file = write(TEXT.format(ports="22"))
    done("up", file)
    before = held(lab, "gw")
    write(TEXT.format(ports="22").replace("gw:wan 203", "gw:wan 203", 1).replace(
        "  gw:\n", '  gw:\n    interfaces: {wan: {mac: "02:00:00:00:00:77"}}\n'))  # fmt: skip
    done("up", file)
    assert held(lab, "gw") == before


def test_the_loopback_device_is_known_by_index_without_being_written(
    write: Write, lab: str
) -> None:
    rules = "table ip t { chain c { type filter hook input priority 0; iif lo accept; } }"
    done("up", write(f"nodes:\n  a:\n    nftables: |\n      {rules}\n"))
    assert 'iif "lo" accept' in held(lab, "a")


def test_a_refusal_names_the_rules_line_and_nothing_of_it_stays(write: Write, lab: str) -> None:
    rules = "table ip t { chain c { type filter hook input priority 0; accept; } }"
    file = write(f'nodes:\n  a:\n    nftables: |\n      {rules}\n')
    done("up", file)
    before = held(lab, "a")
    write(
        f"nodes:\n  a:\n    nftables: |\n      {rules}\n"
        "      table ip u {\n"
        "        chain c { type nat hook postrouting priority -401; }\n"
        "      }\n"
    )
    said = netlab("up", file)
    assert said.code == 4, said
    assert f"{file}:6:" in said.err
    assert "the kernel refused" in said.err
    assert held(lab, "a") == before


BAD = {
    "tcp dport 70000 accept": "70000",
    "tcp dprot 80 accept": "did you mean 'dport'?",
    "jump nowhere": "nowhere",
    "ip saddr @s accept": "has no set 's'",
    "ip saddr 10.0.0.9-10.0.0.1 accept": "upside down",
    'tcp dport "x" accept': "x",
    "iif eth9 accept": "eth9",
}


@pytest.mark.parametrize("rule", BAD)
def test_a_mistake_is_told_with_its_place_and_nothing_is_touched(
    write: Write, lab: str, rule: str
) -> None:
    file = write(
        "nodes:\n  a:\n    nftables: |\n      table ip t {\n        chain c {\n"
        f"          {rule}\n        }}\n      }}\n"
    )
    said = netlab("up", file)
    assert said.code == 2, said
    assert f"{file}:6:" in said.err
    assert BAD[rule] in said.err
    assert "nothing was touched" in said.err
    assert not Path(f"/run/netns/{lab}.a").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('include "../../etc/passwd"', "outside of the topology's directory"),
        ('include "self.nft"', "includes itself"),
        ('include "missing.nft"', "No such file"),
    ],
    ids=["outside", "in a circle", "missing"],
)
def test_what_cannot_be_included_is_told(
    write: Write, tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "self.nft").write_text(text + "\n")
    said = netlab("check", write("nodes: {a: {nftables: {file: self.nft}}}\n"))
    assert said.code == 2, said
    assert "self.nft:1:" in said.err
    assert expected in said.err


def test_a_file_that_is_not_there_is_told_at_its_place(write: Write) -> None:
    file = write("nodes: {a: {nftables: {file: none.nft}}}\n")
    said = netlab("check", file)
    assert said.code == 2, said
    assert f"{file}:1:" in said.err
    assert "No such file" in said.err


def test_a_topology_is_the_same_however_it_is_named(
    write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.nft").write_text("table ip t { chain c { accept; } }\n")
    file = write('nodes:\n  a:\n    nftables: |\n      include "one.nft"\n')
    monkeypatch.chdir(tmp_path.parent)
    done("up", f"{tmp_path.name}/{file.name}")
    assert "accept" in held(lab, "a")
    assert "unchanged" in done("up", file)
