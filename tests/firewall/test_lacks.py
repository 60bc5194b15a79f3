"""Refusals of kernels that are not here: what they point at → the option that they lack."""

from __future__ import annotations

import errno

import pytest

from netlab.firewall import lacks
from netlab.firewall.compile import NEWCHAIN, NEWOBJ, NEWRULE, NEWTABLE, Message, compile_script
from netlab.firewall.parse import parse
from netlab.firewall.wire import each

HEADERS = 20


def _message(text: str, number: int) -> Message:
    return [m for m in compile_script(parse(text)).messages if m.number == number][-1]


def _offset(message: Message, attribute: int, inner: int = 0) -> int:
    """Where an attribute begins, or an expression inside the list of them."""
    body, at = message.body, 0
    for number, data in each(body):
        if number == attribute:
            break
        at += 4 + len(data) + (-len(data) & 3)
    if attribute == 4:
        expressions = [data for _, data in each(body[at + 4 :])]
        at += 4 + sum(4 + len(data) + (-len(data) & 3) for data in expressions[:inner])
    return HEADERS + at


@pytest.mark.parametrize(
    ("family", "option"),
    [("inet", "INET"), ("ip", "IPV4"), ("arp", "ARP"), ("bridge", "BRIDGE"), ("netdev", "NETDEV")],
)
def test_a_family(family: str, option: str) -> None:
    message = _message(f"table {family} t {{\n}}\n", NEWTABLE)
    said = lacks.hint(message, errno.EOPNOTSUPP, 0)
    assert said == f"this kernel lacks CONFIG_NF_TABLES_{option}"


@pytest.mark.parametrize(
    ("kind", "option"), [("nat hook input", "NFT_NAT"), ("route hook output", "NF_TABLES_IPV6")]
)
def test_a_type_of_chain(kind: str, option: str) -> None:
    text = f"table ip6 t {{\nchain c {{\ntype {kind} priority 0\n}}\n}}\n"
    message = _message(text, NEWCHAIN)
    said = lacks.hint(message, errno.ENOENT, _offset(message, 7))
    assert said == f"this kernel lacks CONFIG_{option}"
    assert lacks.hint(message, errno.ENOENT, _offset(message, 4)) == ""


@pytest.mark.parametrize(
    ("family", "rule", "which", "option"),
    [
        ("ip", "osf name \"Linux\"", 0, "NFT_OSF"),
        ("ip", "ipsec in reqid 1", 0, "NFT_XFRM"),
        ("ip", "numgen inc mod 2 0", 0, "NFT_NUMGEN"),
        ("ip", "jhash ip saddr mod 2 0", 1, "NFT_HASH"),
        ("ip", "counter limit rate 5/second", 1, "NFT_LIMIT"),
        ("ip", "quota 5 bytes", 0, "NFT_QUOTA"),
        ("ip", "log", 0, "NFT_LOG"),
        ("ip", "ct count 5", 0, "NFT_CONNLIMIT"),
        ("ip", "socket mark 1", 0, "NFT_SOCKET"),
        ("ip", "synproxy mss 5", 0, "NFT_SYNPROXY"),
        ("ip6", "dup to ::1", 1, "NFT_DUP_IPV6"),
        ("netdev", "fwd to lo", 1, "NFT_FWD_NETDEV"),
        ("inet", "fib saddr oif missing", 0, "NFT_FIB_INET"),
        ("ip6", "reject", 0, "NFT_REJECT_IPV6"),
        ("netdev", "reject", 0, "NFT_REJECT_NETDEV"),
        ("ip", "masquerade", 0, "NFT_MASQ"),
        ("ip", "tcp dport 1 redirect to :2", 5, "NFT_REDIR"),
        ("ip", "tcp dport 1 tproxy to :2", 5, "NFT_TPROXY"),
    ],
)
def test_an_expression(family: str, rule: str, which: int, option: str) -> None:
    message = _message(f"table {family} t {{\nchain c {{\n{rule}\n}}\n}}\n", NEWRULE)
    said = lacks.hint(message, errno.ENOENT, _offset(message, 4, which))
    assert said == f"this kernel lacks CONFIG_{option}"


@pytest.mark.parametrize(
    ("rule", "option"),
    [
        ("ct label 5", "NF_CONNTRACK_LABELS"),
        ("ct zone 5", "NF_CONNTRACK_ZONES"),
        ("ct mark 5", "NF_CONNTRACK_MARK"),
        ("meta cgroup 5", "CGROUP_NET_CLASSID"),
        ("meta rtclassid 5", "IP_ROUTE_CLASSID"),
    ],
)
def test_a_key_of_an_expression(rule: str, option: str) -> None:
    message = _message(f"table ip t {{\nchain c {{\n{rule}\n}}\n}}\n", NEWRULE)
    said = lacks.hint(message, errno.EOPNOTSUPP, _offset(message, 4))
    assert said == f"this kernel lacks CONFIG_{option}"


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("quota q {\n5 bytes\n}", "NFT_QUOTA"),
        ("limit l {\nrate 5/second\n}", "NFT_LIMIT"),
        ("ct timeout x {\nprotocol tcp\npolicy = { close : 5 }\n}", "NF_CONNTRACK_TIMEOUT"),
        ('ct helper h {\ntype "tftp" protocol udp\n}', "NF_CONNTRACK_TFTP"),
    ],
)
def test_an_object(text: str, option: str) -> None:
    message = _message(f"table ip t {{\n{text}\n}}\n", NEWOBJ)
    said = lacks.hint(message, errno.ENOENT, 0)
    assert said == f"this kernel lacks CONFIG_{option}"


def test_of_an_expression_that_every_kernel_has_nothing_is_said() -> None:
    message = _message("table ip t {\nchain c {\nip saddr 10.0.0.1\n}\n}\n", NEWRULE)
    assert lacks.hint(message, errno.ENOENT, _offset(message, 4)) == ""
    assert lacks.hint(message, errno.EBUSY, _offset(message, 4)) == ""
