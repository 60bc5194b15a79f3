"""What this kernel declines is told with the option that it lacks, or with where it belongs."""

from __future__ import annotations

import pytest

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.transaction import Answer, commit
from tests.live.firewall import channel, in_a_namespace, links


def _rule(family: str, rule: str, hook: str = "prerouting", kind: str = "filter") -> str:
    device = ' device "d0"' if family == "netdev" else ""
    head = f"type {kind} hook {hook}{device} priority 0"
    return f"table {family} t {{\nchain c {{\n{head}\n{rule}\n}}\n}}\n"


def _told(text: str) -> list[tuple[str, str]]:
    """Place and hint of each refusal."""

    def refused() -> list[tuple[str, str]]:
        with channel() as sock:
            try:
                commit(sock, compile_script(parse(text, "gw.nft"), links=links()))
            except Answer as answer:
                return [(str(each.place), each.hint) for each in answer.refusals]
        return []

    return in_a_namespace(refused)


@pytest.mark.parametrize(
    ("text", "place", "option"),
    [
        (_rule("ip", "counter queue num 1"), "4:1", "NFT_QUEUE"),
        (_rule("bridge", "ip saddr 10.0.0.1 reject"), "4:1", "NFT_BRIDGE_REJECT"),
        (_rule("bridge", "meta ibrpvid 3"), "4:1", "NFT_BRIDGE_META"),
        (_rule("bridge", "counter meta ibrname br0"), "4:1", "NFT_BRIDGE_META"),
        (_rule("bridge", "ct state new"), "4:1", "NF_CONNTRACK_BRIDGE"),
        (
            "table ip t {\nflowtable f {\nhook ingress priority 0\ndevices = { d0 }\n}\n}\n",
            "2:1",
            "NF_FLOW_TABLE",
        ),
    ],
    ids=["queue", "bridge reject", "ibrpvid", "ibrname", "bridge ct", "flowtable"],
)
def test_what_the_kernel_lacks_is_told_by_the_options_name(
    text: str, place: str, option: str
) -> None:
    told = _told(text)
    if not told:
        pytest.skip(f"this kernel has CONFIG_{option}")
    assert told == [(f"gw.nft:{place}", f"this kernel lacks CONFIG_{option}")]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (_rule("ip", "masquerade"), "masquerade belongs in chains of type nat, hook postrouting"),
        (_rule("ip", "dnat to 10.0.0.1"), "snat and dnat belong in chains of type nat"),
        (
            _rule("inet", "redirect", "input", "nat"),
            "redirect belongs in chains of type nat, hook prerouting or output",
        ),
        (
            _rule("ip", "tcp dport 80 tproxy to :3128", "output"),
            "tproxy belongs in chains of hook prerouting",
        ),
        (
            _rule("ip", "fib saddr . iif oif missing", "output"),
            "fib … iif is known in chains of hook prerouting, input and forward",
        ),
        (
            _rule("netdev", "ct state new", "ingress"),
            "no kernel tracks connections for tables of this family",
        ),
    ],
)
def test_a_rule_in_a_chain_where_it_cannot_be_is_told_where_it_belongs(
    text: str, hint: str
) -> None:
    assert _told(text) == [("gw.nft:4:1", hint)]


def test_a_helper_that_no_kernel_has_is_told_with_those_that_there_are() -> None:
    [(place, hint)] = _told('table ip t {\nct helper h {\ntype "xyz" protocol tcp;\n}\n}\n')
    assert place == "gw.nft:2:1"
    assert hint.startswith("kernels have the helpers amanda, ftp,")
