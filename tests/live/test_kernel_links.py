"""Devices, by the kernel room's own verbs; iproute2 and ethtool tell what has become of them.

    LAB.a   LAB.b
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel.identity import inode
from netlab.kernel.port import Kernel
from netlab.kernel.values import VethEnd
from tests.live.kernel import MAC, Lab, bridge, fresh_lab
from tests.live.world import eventually, ip, tool

__all__ = ["fresh_lab"]

OTHER_MAC = "02:00:00:00:00:02"


def shown(ns: str, name: str) -> dict[str, Any]:
    (link,) = ip(ns, "link", "show", "dev", name)
    assert isinstance(link, dict)
    return link


def settings(ns: str, name: str, words: Any) -> dict[str, Any]:
    """Of the device's kind."""
    data = shown(ns, name)["linkinfo"]["info_data"]
    return {word: data[word] for word in words}


def names(ns: str) -> list[str]:
    return sorted(link["ifname"] for link in ip(ns, "link"))


def cable(lab: Lab, a_name: str = "eth0", b_name: str = "eth0") -> None:
    a, b = (VethEnd(ns, n, "", 0, True) for ns, n in ((lab.a, a_name), (lab.b, b_name)))
    lab.kernel.add_veth(a, b)
    lab.kernel.flush()


def has_carrier(ns: str, name: str = "eth0") -> bool:
    """The kernel looks at its links within a second (net/core/link_watch.c)."""
    return bool(shown(ns, name)["operstate"] == "UP")


# veth


@pytest.mark.parametrize(("a_up", "b_up"), list(product([True, False], repeat=2)))
def test_a_veth_pair_has_at_each_end_what_was_asked(lab: Lab, a_up: bool, b_up: bool) -> None:
    lab.kernel.add_veth(
        VethEnd(lab.a, "eth0", MAC, 1400, a_up),
        VethEnd(lab.b, "a-name-of-15-by", OTHER_MAC, 1300, b_up),
    )
    lab.kernel.flush()
    a, b = shown(lab.a, "eth0"), shown(lab.b, "a-name-of-15-by")
    assert [
        (end["linkinfo"]["info_kind"], end["address"], end["mtu"], "UP" in end["flags"])
        for end in (a, b)
    ] == [("veth", MAC, 1400, a_up), ("veth", OTHER_MAC, 1300, b_up)]
    assert (a["link_index"], b["link_index"]) == (b["ifindex"], a["ifindex"])


def test_a_veth_pair_of_one_namespace_has_two_ends_there(lab: Lab) -> None:
    lab.kernel.add_veth(VethEnd(lab.a, "x", "", 0, True), VethEnd(lab.a, "y", "", 0, True))
    lab.kernel.flush()
    assert [(n, "UP" in shown(lab.a, n)["flags"], shown(lab.a, n)["mtu"]) for n in "xy"] == [
        ("x", True, 1500), ("y", True, 1500),
    ]  # fmt: skip


def test_a_veth_pair_goes_with_one_end_and_deleting_it_again_is_done(lab: Lab) -> None:
    cable(lab)
    for _ in range(2):
        lab.kernel.del_device(lab.a, "eth0")
        lab.kernel.del_device(lab.b, "eth0")
        lab.kernel.flush()
        assert (names(lab.a), names(lab.b)) == (["lo"], ["lo"])


def test_a_veth_pair_is_refused_where_a_name_is_taken(lab: Lab) -> None:
    cable(lab)
    eventually(lambda: has_carrier(lab.a) and has_carrier(lab.b))
    before = ip(lab.a, "link"), ip(lab.b, "link")
    for a_name, b_name in (("eth0", "new"), ("new", "eth0")):
        lab.kernel.begin(f"{a_name} – {b_name}")
        lab.kernel.add_veth(
            VethEnd(lab.a, a_name, "", 0, True), VethEnd(lab.b, b_name, "", 0, True)
        )
        assert lab.refusal()[:3] == (f"{a_name} – {b_name}", "EEXIST", "File exists")
        assert (ip(lab.a, "link"), ip(lab.b, "link")) == before


def test_a_deleted_pair_can_be_made_again_in_the_same_batch(lab: Lab) -> None:
    cable(lab)
    lab.kernel.del_device(lab.a, "eth0")
    lab.kernel.del_device(lab.b, "eth0")
    lab.kernel.add_veth(VethEnd(lab.a, "eth0", MAC, 0, True), VethEnd(lab.b, "eth0", "", 0, True))
    lab.kernel.add_address(lab.a, "eth0", "10.0.0.1/24")
    lab.kernel.flush()
    assert shown(lab.a, "eth0")["address"] == MAC
    eventually(lambda: has_carrier(lab.b))


def test_an_mtu_is_set_and_one_out_of_range_is_refused_in_the_kernels_words(lab: Lab) -> None:
    cable(lab)
    lab.kernel.set_mtu(lab.a, "eth0", 9000)
    lab.kernel.flush()
    assert (shown(lab.a, "eth0")["mtu"], shown(lab.b, "eth0")["mtu"]) == (9000, 1500)
    lab.kernel.begin("mtu")
    lab.kernel.set_mtu(lab.a, "eth0", 70000)
    assert lab.refusal() == ("mtu", "EINVAL", "mtu greater than device maximum", "")


def test_a_multicast_mac_is_refused(lab: Lab) -> None:
    lab.kernel.add_device(lab.a, "br0", "bridge", "01:00:00:00:00:01", 0, True, {})
    assert lab.refusal()[1:3] == ("EADDRNOTAVAIL", "Cannot assign requested address")


def test_a_setting_of_a_device_that_is_not_there_says_so(lab: Lab) -> None:
    verbs: dict[str, Callable[[Kernel], None]] = {
        "mtu": lambda k: k.set_mtu(lab.a, "gone", 1400),
        "master": lambda k: k.set_master(lab.a, "gone", "lo"),
        "port": lambda k: k.set_port(lab.a, "gone", {"cost": 1}),
        "bridge": lambda k: k.set_device(lab.a, "gone", "bridge", {"stp_state": True}),
        "fdb": lambda k: k.add_fdb(lab.a, "gone", MAC, "10.0.0.1"),
        "address": lambda k: k.add_address(lab.a, "gone", "10.0.0.1/24"),
        "neighbour": lambda k: k.add_neighbour(lab.a, "gone", "10.0.0.1", MAC, False),
    }
    for token, verb in verbs.items():
        lab.kernel.begin(token)
        verb(lab.kernel)
        assert lab.refusal()[:3] == (
            token, "ENODEV", f"there is no device gone in {lab.a} any more",
        )  # fmt: skip


def test_taking_from_a_device_that_is_not_there_is_done(lab: Lab) -> None:
    lab.kernel.del_device(lab.a, "gone")
    lab.kernel.set_master(lab.a, "gone", "")
    lab.kernel.del_fdb(lab.a, "gone", MAC, "10.0.0.1")
    lab.kernel.del_address(lab.a, "gone", "10.0.0.1/24")
    lab.kernel.del_neighbour(lab.a, "gone", "10.0.0.1", False)
    lab.kernel.flush()
    assert names(lab.a) == ["lo"]


# bridges

BRIDGE = {
    "stp_state": True, "ageing_time": 10, "forward_delay": 4, "hello_time": 1, "max_age": 8,
    "priority": 4096, "mcast_snooping": False,
}  # fmt: skip
BRIDGE_SHOWN = {
    "stp_state": 1, "ageing_time": 1000, "forward_delay": 400, "hello_time": 100, "max_age": 800,
    "priority": 4096, "mcast_snooping": 0,
}  # fmt: skip


def test_a_bridge_has_each_of_its_options(lab: Lab) -> None:
    lab.kernel.add_device(lab.a, "br0", "bridge", MAC, 1400, True, BRIDGE)
    lab.kernel.add_device(lab.a, "br1", "bridge", "", 0, False, {})
    lab.kernel.flush()
    br0, br1 = shown(lab.a, "br0"), shown(lab.a, "br1")
    assert settings(lab.a, "br0", BRIDGE_SHOWN) == BRIDGE_SHOWN
    assert (br0["address"], br0["mtu"], "UP" in br0["flags"]) == (MAC, 1400, True)
    assert (br1["mtu"], "UP" in br1["flags"]) == (1500, False)


@pytest.mark.parametrize("word", BRIDGE)
def test_a_bridge_takes_an_option_later_and_keeps_the_others(lab: Lab, word: str) -> None:
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    lab.kernel.flush()
    plain = settings(lab.a, "br0", BRIDGE_SHOWN)
    lab.kernel.set_device(lab.a, "br0", "bridge", {word: BRIDGE[word]})
    lab.kernel.flush()
    assert settings(lab.a, "br0", BRIDGE_SHOWN) == plain | {word: BRIDGE_SHOWN[word]}


def test_a_bridge_is_refused_where_its_name_is_taken_and_out_of_range_in_words(lab: Lab) -> None:
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {"stp_state": True})
    lab.kernel.flush()
    lab.kernel.begin("again")
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    assert lab.refusal() == ("again", "EEXIST", "File exists", "")
    lab.kernel.begin("delay")
    lab.kernel.set_device(lab.a, "br0", "bridge", {"forward_delay": 60})
    assert lab.refusal()[:3] == ("delay", "ERANGE", "Numerical result out of range")


PORT = {
    "cost": 42, "priority": 7, "isolated": True, "learning": False, "hairpin": True, "flood": False
}  # fmt: skip


@pytest.mark.parametrize("word", [None, *PORT])
def test_a_port_has_each_of_its_options(lab: Lab, word: str | None) -> None:
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    cable(lab)
    lab.kernel.set_master(lab.a, "eth0", "br0")
    lab.kernel.flush()
    (plain,) = bridge(lab.a, "link", "show", "dev", "eth0")
    said = PORT if word is None else {word: PORT[word]}
    lab.kernel.set_port(lab.a, "eth0", said)
    lab.kernel.flush()
    (port,) = bridge(lab.a, "link", "show", "dev", "eth0")
    assert {w: port[w] for w in PORT} == {w: plain[w] for w in PORT} | said
    assert port["master"] == "br0"


def test_a_port_is_released_and_releasing_it_again_is_done(lab: Lab) -> None:
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    cable(lab)
    lab.kernel.set_master(lab.a, "eth0", "br0")
    lab.kernel.flush()
    for _ in range(2):
        lab.kernel.set_master(lab.a, "eth0", "")
        lab.kernel.flush()
        assert "master" not in shown(lab.a, "eth0")


def test_options_of_a_port_that_is_none_are_refused(lab: Lab) -> None:
    cable(lab)
    lab.kernel.begin("port")
    lab.kernel.set_port(lab.a, "eth0", {"cost": 1})
    assert lab.refusal() == ("port", "EOPNOTSUPP", "Operation not supported", "")


# vxlan


@pytest.mark.parametrize(
    ("remote", "local", "said"),
    [
        ("10.0.0.2", "10.0.0.1", {"remote": "10.0.0.2", "local": "10.0.0.1"}),
        ("fd00::2", "fd00::1", {"remote6": "fd00::2", "local6": "fd00::1"}),
        ("", "", {}),
    ],
)
def test_a_vxlan_has_ends_of_either_family(
    lab: Lab, remote: str, local: str, said: dict[str, str]
) -> None:
    options: dict[str, Any] = {"id": 2**24 - 1, "dstport": 8472, "learning": False}
    options |= {"remote": remote, "local": local} if remote else {}
    lab.kernel.add_device(lab.a, "vx0", "vxlan", MAC, 1400, True, options)
    lab.kernel.flush()
    vx0 = shown(lab.a, "vx0")
    data = vx0["linkinfo"]["info_data"]
    assert (vx0["address"], vx0["mtu"], "UP" in vx0["flags"]) == (MAC, 1400, True)
    assert (data["id"], data["port"], data["learning"]) == (2**24 - 1, 8472, False)
    assert {w: data[w] for w in data if w.startswith(("remote", "local")) and w in said} == said


def test_a_second_vxlan_of_one_id_is_refused_in_the_kernels_words(lab: Lab) -> None:
    options = {"id": 7, "dstport": 4789}
    lab.kernel.add_device(lab.a, "vx0", "vxlan", "", 0, False, options)
    lab.kernel.flush()
    lab.kernel.begin("second")
    lab.kernel.add_device(lab.a, "vx1", "vxlan", "", 0, False, options)
    token, name, said, _ = lab.refusal()
    assert (token, name) == ("second", "EEXIST")
    assert "VNI" in said


def entries(ns: str) -> set[tuple[str, str, str]]:
    return {
        (entry["mac"], entry.get("dst", ""), entry["state"])
        for entry in bridge(ns, "fdb", "show", "dev", "vx0")
    }


@pytest.mark.parametrize(("one", "other"), [("10.0.0.2", "10.0.0.3"), ("fd00::2", "fd00::3")])
def test_forwarding_entries_stand_side_by_side_and_go_one_by_one(
    lab: Lab, one: str, other: str
) -> None:
    everything = "00:00:00:00:00:00"
    lab.kernel.add_device(lab.a, "vx0", "vxlan", "", 0, True, {
        "id": 7, "dstport": 4789, "local": "fd00::1" if ":" in one else "10.0.0.1",
    })  # fmt: skip
    lab.kernel.add_fdb(lab.a, "vx0", everything, one)
    lab.kernel.add_fdb(lab.a, "vx0", everything, other)
    lab.kernel.add_fdb(lab.a, "vx0", MAC, one)
    lab.kernel.flush()
    assert entries(lab.a) == {
        (everything, one, "permanent"), (everything, other, "permanent"), (MAC, one, "permanent"),
    }  # fmt: skip
    for _ in range(2):
        lab.kernel.del_fdb(lab.a, "vx0", everything, one)
        lab.kernel.del_fdb(lab.a, "vx0", MAC, one)
        lab.kernel.flush()
        assert entries(lab.a) == {(everything, other, "permanent")}


# tun and tap


@pytest.mark.parametrize("mode", ["tun", "tap"])
def test_a_tun_device_is_persistent_and_belongs_to_whom_it_should(lab: Lab, mode: str) -> None:
    options = {"owner": 1234, "group": 5678, "multi_queue": True}
    mac = MAC if mode == "tap" else ""
    lab.kernel.add_tun(lab.a, "t0", mode, mac, 1400, True, options)
    lab.kernel.add_tun(lab.a, "t1", mode, "", 0, False, {})
    lab.kernel.flush()
    t0, t1 = shown(lab.a, "t0"), shown(lab.a, "t1")
    data, other = (t["linkinfo"]["info_data"] for t in (t0, t1))
    assert data == {
        "type": mode, "pi": False, "vnet_hdr": False, "multi_queue": True, "persist": True,
        "user": 1234, "group": 5678, "numqueues": 0, "numdisabled": 0,
    }  # fmt: skip
    assert (other["type"], other["persist"], other["multi_queue"]) == (mode, True, False)
    assert (t0["mtu"], "UP" in t0["flags"], t0.get("address", "")) == (1400, True, mac)
    assert (t1["mtu"], "UP" in t1["flags"]) == (1500, False)


def test_a_tun_device_is_refused_where_its_name_is_taken(lab: Lab) -> None:
    lab.kernel.add_tun(lab.a, "t0", "tap", "", 0, True, {})
    lab.kernel.flush()
    lab.kernel.begin("again")
    lab.kernel.add_tun(lab.a, "t0", "tap", "", 0, True, {})
    assert lab.refusal() == ("again", "EBUSY", "Device or resource busy", "")


def test_a_tun_device_goes_and_deleting_it_again_is_done(lab: Lab) -> None:
    lab.kernel.add_tun(lab.a, "t0", "tun", "", 0, True, {})
    lab.kernel.flush()
    for _ in range(2):
        lab.kernel.del_device(lab.a, "t0")
        lab.kernel.flush()
        assert names(lab.a) == ["lo"]


# offloads

FEATURES = {
    "rx": "rx-checksumming", "tx": "tx-checksumming", "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload", "gro": "generic-receive-offload",
}  # fmt: skip


def features(ns: str) -> dict[str, str]:
    lines = tool("ip", "netns", "exec", ns, "ethtool", "-k", "eth0").splitlines()[1:]
    return {name.strip(): value.split()[0] for name, _, value in (x.partition(":") for x in lines)}


@pytest.mark.parametrize("feature", FEATURES)
def test_an_offload_is_switched_and_switched_back(lab: Lab, feature: str) -> None:
    cable(lab)
    fresh = features(lab.a)
    before = fresh[FEATURES[feature]]
    lab.kernel.set_offload(lab.a, "eth0", feature, before == "off")
    lab.kernel.flush()
    assert features(lab.a)[FEATURES[feature]] == {"on": "off", "off": "on"}[before]
    lab.kernel.set_offload(lab.a, "eth0", feature, before == "on")
    lab.kernel.flush()
    assert features(lab.a) == fresh


def test_an_offload_of_a_device_without_it_is_refused(lab: Lab) -> None:
    lab.kernel.begin("offload")
    lab.kernel.set_offload(lab.a, "gone", "tso", False)
    assert lab.refusal()[:3] == ("offload", "ENODEV", "No such device")


def test_what_is_made_is_counted_from_where_netlab_chooses(lab: Lab) -> None:
    cable(lab)
    lab.kernel.add_tun(lab.a, "t0", "tap", "", 0, True, {})
    lab.kernel.add_device(lab.a, "br0", "bridge", "", 0, True, {})
    lab.kernel.flush()
    assert [shown(lab.a, name)["ifindex"] for name in ("eth0", "t0", "br0")] == [16, 17, 18]
    assert Path(f"/run/netns/{lab.a}").stat().st_ino == inode(lab.inodes[lab.a])
