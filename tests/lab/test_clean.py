"""What is told of a machine that is not as it was; what is noted is the real machine's."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from netlab.errors import StateRefused, UsageError
from netlab.kernel import host
from netlab.kernel.enter import NETNS, STATE
from netlab.lab.clean import before, differences

MOUNT = "40 29 0:4 net:[{inode}] {netns}/{name} rw shared:1 - nsfs nsfs rw"


def noted(labs: list[str], namespaces: dict[str, int], **more: Any) -> dict[str, Any]:
    """Plain data, as ``host.note`` gives it."""
    mounts = [MOUNT.format(inode=i, netns=NETNS, name=n) for n, i in namespaces.items()]
    nothing = dict.fromkeys((*host.ROUTE, *host.NETFILTER), "")
    return {
        **nothing, "time": 0.0, "netns": NETNS, "namespaces": list(namespaces), "groups": labs,
        "instances": [], "mounts": "\n".join(mounts), "switches": {}, "labs": labs, **more,
    }  # fmt: skip


def test_what_is_there_is_told_in_words_and_is_the_same_twice() -> None:
    first, second = host.note(STATE, NETNS), host.note(STATE, NETNS)
    told = host.told(json.loads(json.dumps(first)))
    assert told["link"]["lo"].endswith("mtu 65536 00:00:00:00:00:00")
    assert "127.0.0.1/8 on lo" in told["address"]
    assert "local 127.0.0.0/8 dev lo table local" in told["route"]
    assert "IPv4 32766: from all lookup main" in told["rule"]
    assert told["switch"]["net.ipv4.ip_forward"] in ("0", "1")
    assert "/proc" in told["mount"]
    assert host.unread(first) == []
    for sort in ("link", "address", "switch"):
        assert host.told(second)[sort] == told[sort]


def test_what_came_went_and_changed_is_named() -> None:
    then = noted(["l"], {"mine": 1, "kept": 2}, switches={"ipv4/ip_forward": "0"})
    now = noted([], {"kept": 3, "new": 4}, switches={"ipv4/ip_forward": "1"})
    assert differences(then, now, "l", NETNS) == [
        "namespace kept was net:[2], and is net:[3]",
        "namespace mine is gone: it was net:[1]",
        "namespace new is new: net:[4]",
        "switch net.ipv4.ip_forward was 0, and is 1",
        f"mount {NETNS}/mine is gone: it was nsfs nsfs",
        f"mount {NETNS}/new is new: nsfs nsfs",
        "control group l is gone",
    ]


def test_other_labs_come_and_go_as_they_like() -> None:
    then = noted(["l", "gone"], {"gone.a": 1})
    now = noted(["come"], {"come.b": 2})
    assert differences(then | {"groups": ["gone"]}, now, "l", NETNS) == []


def test_what_the_lab_itself_left_is_named() -> None:
    then, now = noted(["l"], {}) | {"groups": []}, noted(["l"], {"l.a": 7})
    assert differences(then, now, "l", NETNS) == [
        "namespace l.a is new: net:[7]",
        f"mount {NETNS}/l.a is new: nsfs nsfs",
        "control group l is new",
        "directory of a lab l is new",
    ]


def test_what_was_too_much_is_said_to_be_left_out() -> None:
    then, now = noted(["l"], {}), noted([], {}) | {"groups": ["l"]}
    told = differences(then, {**now, "routes": None}, "l", NETNS)
    assert told == ["routes cannot be compared: there were too many"]


def test_where_nothing_was_noted_nothing_is_compared(tmp_path: Any) -> None:
    os.mkdir(tmp_path / "l")
    with pytest.raises(UsageError, match="nothing is known of this machine before l came up"):
        before(str(tmp_path), "l")
    (tmp_path / "l" / "before").write_text("{")
    with pytest.raises(StateRefused, match="cannot be understood"):
        before(str(tmp_path), "l")
