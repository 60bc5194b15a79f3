"""Many requests before one flush: order, refusals that know their step, and what is not a request.

    LAB.a   LAB.b
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.errors import CommandFailed, KernelRefused
from netlab.kernel.identity import inode
from netlab.kernel.links import new_device
from netlab.kernel.netlink import NetlinkKernel
from netlab.kernel.values import NextHop, VethEnd
from netlab.kernel.wire import SEND_LIMIT
from tests.live.kernel import MAC, Lab, fresh_lab
from tests.live.world import eventually, ip

__all__ = ["fresh_lab"]


def wire_up(lab: Lab) -> None:
    lab.kernel.add_veth(VethEnd(lab.a, "eth0", "", 0, True), VethEnd(lab.b, "eth0", "", 0, True))


@pytest.mark.parametrize("where", ["a", "b"])
def test_a_refusal_in_a_batch_over_namespaces_has_the_token_of_its_step(
    lab: Lab, where: str
) -> None:
    wire_up(lab)
    steps = {
        "address a": lambda k: k.add_address(lab.a, "eth0", "10.0.0.1/24"),
        "address b": lambda k: k.add_address(lab.b, "eth0", "10.0.0.2/24"),
        "route a": lambda k: k.add_route(
            lab.a, "10.9.0.0/16", [NextHop("10.0.0.2")], "unicast", 254, 0, "", False
        ),
        "bad": lambda k: k.add_route(
            f"{lab.name}.{where}", "10.8.0.0/16", [NextHop("192.0.2.1")], "unicast", 254, 0, "",
            False,
        ),
        "sysctl b": lambda k: k.set_sysctl(lab.b, "net.ipv4.ip_forward", "1"),
        "neighbour a": lambda k: k.add_neighbour(lab.a, "eth0", "10.0.0.2", MAC, False),
    }  # fmt: skip
    for token, step in steps.items():
        lab.kernel.begin(token)
        step(lab.kernel)  # type: ignore[no-untyped-call]
    assert lab.refusal() == ("bad", "ENETUNREACH", "Nexthop has invalid gateway", "")


def test_a_refused_veth_pair_is_told_from_those_beside_it(lab: Lab) -> None:
    for n in range(20):
        lab.kernel.begin(n)
        name = f"v{n if n != 13 else 7}"
        lab.kernel.add_veth(VethEnd(lab.a, name, "", 0, True), VethEnd(lab.b, f"p{n}", "", 0, True))
    assert lab.refusal() == (13, "EEXIST", "File exists", "")


@pytest.mark.parametrize("wrong", [0, 1499, 2999])
def test_one_refusal_among_thousands_is_mapped_to_its_step(lab: Lab, wrong: int) -> None:
    wire_up(lab)
    lab.kernel.add_address(lab.a, "eth0", "10.0.0.1/24")
    lab.kernel.flush()
    assert SEND_LIMIT < 3000 * 40
    for n in range(3000):
        lab.kernel.begin(n)
        via = "192.0.2.1" if n == wrong else "10.0.0.2"
        lab.kernel.add_route(
            lab.a, f"10.{100 + n // 256}.{n % 256}.0/24", [NextHop(via)], "unicast", 254, 0, "",
            False,
        )  # fmt: skip
    assert lab.refusal()[:2] == (wrong, "ENETUNREACH")


def test_after_a_refusal_the_queues_are_empty_and_the_kernel_goes_on(lab: Lab) -> None:
    lab.kernel.begin("bad")
    lab.kernel.set_mtu(lab.a, "gone", 1400)
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    wire_up(lab)
    assert lab.refusal()[0] == "bad"
    lab.kernel.flush()
    lab.kernel.begin("good")
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    wire_up(lab)
    lab.kernel.set_master(lab.a, "eth0", "br0")
    lab.kernel.flush()
    (eth0,) = ip(lab.a, "link", "show", "dev", "eth0")
    assert eth0["master"] == "br0"
    eventually(lambda: ip(lab.a, "link", "show", "dev", "eth0")[0]["operstate"] == "UP")


def test_a_device_that_somebody_deleted_is_missing_by_name_and_may_be_made_again(lab: Lab) -> None:
    wire_up(lab)
    lab.kernel.flush()
    ip(lab.a, "link", "del", "dev", "eth0")
    lab.kernel.begin("mtu")
    lab.kernel.set_mtu(lab.a, "eth0", 1400)
    assert lab.refusal()[:2] == ("mtu", "ENODEV")
    wire_up(lab)
    lab.kernel.set_mtu(lab.a, "eth0", 1400)
    lab.kernel.flush()
    assert [link["mtu"] for link in ip(lab.a, "link", "show", "dev", "eth0")] == [1400]


def test_a_device_that_the_kernel_cannot_make_names_the_option(lab: Lab) -> None:
    assert isinstance(lab.kernel, NetlinkKernel)
    lab.kernel.begin("unheard-of")
    request = new_device("x0", 99, "unheard-of", "", 0, False, {})
    lab.kernel._queue.add(lab.a, request, "CONFIG_UNHEARD_OF")
    assert lab.refusal() == (
        "unheard-of", "EOPNOTSUPP", "Unknown device type", "this kernel lacks CONFIG_UNHEARD_OF?",
    )  # fmt: skip


def test_a_namespace_of_somebody_else_is_left_alone(lab: Lab) -> None:
    lab.kernel.own({lab.b: lab.inodes[lab.b] + 1})
    lab.kernel.begin("route")
    lab.kernel.add_route(lab.b, "10.9.0.0/16", [], "blackhole", 254, 0, "", False)
    with pytest.raises(KernelRefused, match="not the one that netlab made") as failure:
        lab.kernel.flush()
    lab.kernel.del_namespace(lab.b)
    lab.kernel.flush()
    assert failure.value.token == "route"
    assert os.stat(f"/run/netns/{lab.b}").st_ino == inode(lab.inodes[lab.b])
    assert ip(lab.b, "route", "show") == []
    lab.kernel.own({lab.b: lab.inodes[lab.b]})


def test_a_name_that_is_taken_is_refused(lab: Lab) -> None:
    lab.kernel.make_namespaces([lab.a])
    lab.kernel.begin("second")
    lab.kernel.add_namespace(lab.a)
    assert lab.refusal()[:3] == ("second", "EEXIST", "File exists")
    assert os.stat(f"/run/netns/{lab.a}").st_ino == inode(lab.inodes[lab.a])
    lab.kernel.own({lab.a: lab.inodes[lab.a]})


def test_what_is_said_of_a_namespace_that_is_gone_is_refused_and_deleting_there_is_done(
    lab: Lab,
) -> None:
    wire_up(lab)
    lab.kernel.flush()
    lab.kernel.del_namespace(lab.b)
    lab.kernel.flush()
    for _ in range(2):
        lab.kernel.del_namespace(lab.b)
        lab.kernel.del_device(lab.b, "eth0")
        lab.kernel.del_route(lab.b, "10.9.0.0/16", "unicast", 254, 0)
        lab.kernel.del_rule(lab.b, 4, {"table": 100, "priority": 9})
        lab.kernel.reset_sysctl(lab.b, "net.ipv4.ip_forward")
        lab.kernel.flush()
    lab.kernel.begin("late")
    lab.kernel.add_address(lab.b, "lo", "10.0.0.1/32")
    token, number, said, _ = lab.refusal()
    assert (token, number) == ("late", "ENOENT")
    assert said == f"namespace {lab.b} has been deleted by somebody else"


# files and programs


def test_the_entry_of_a_node_and_the_hosts_of_the_lab_are_files_of_the_state_directory(
    lab: Lab,
) -> None:
    hosts = Path(f"/run/netlab/{lab.name}/hosts")
    entry = Path(f"/run/netlab/{lab.name}/nodes/a.json")
    for text in ("one\n", "two\r\n"):
        lab.kernel.write_hosts(lab.name, text)
        lab.kernel.write_entry(lab.a, text)
        lab.kernel.flush()
        assert [path.read_bytes() for path in (hosts, entry)] == [text.encode()] * 2
        assert [path.stat().st_mode & 0o777 for path in (hosts, entry)] == [0o644] * 2
    for _ in range(2):
        lab.kernel.del_hosts(lab.name)
        lab.kernel.del_entry(lab.a)
        lab.kernel.flush()
        assert not hosts.exists()
        assert not entry.exists()


def test_a_line_is_run_after_what_was_asked_before_it_and_its_end_is_told(lab: Lab) -> None:
    wire_up(lab)
    lab.kernel.write_entry(lab.a, '{"env": [["WORD", "it\'s"]]}')
    lab.kernel.begin("fine")
    lab.kernel.run(lab.a, 'test -d /sys/class/net/eth0 && test "$WORD" = "it\'s"')
    lab.kernel.begin("bad")
    lab.kernel.run(lab.a, "echo out; echo err >&2; exit 3")
    lab.kernel.begin("never")
    lab.kernel.run(lab.a, "ip link add never type bridge")
    with pytest.raises(CommandFailed) as failure:
        lab.kernel.flush()
    assert (failure.value.token, str(failure.value)) == ("bad", "exit code 3; it said:\nout\nerr")
    assert [link["ifname"] for link in ip(lab.a, "link")] == ["lo", "eth0"]
    lab.kernel.del_entry(lab.a)
    lab.kernel.flush()
