"""The table of causes, the words of a command line, and the model as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from netlab.errors import LabNotFound, NetlabError, UsageError
from netlab.trace.causes import CAUSES
from netlab.trace.evidence import Evidence
from netlab.trace.facts import Facts
from netlab.trace.model import (
    MEANING,
    Cause,
    Disposition,
    Leg,
    Place,
    Probe,
    Trace,
    as_json,
    from_json,
    meets,
    schema,
)
from netlab.trace.request import Words, check_expected, probe_of
from netlab.trace.terrain import Device, Spot, Terrain
from netlab.trace.why import _words, explain, names
from tests.trace.kept import NAMES, record, trace

PROBE = Probe("cli", "srv", "tcp", "10.0.0.1", "10.0.0.2", 80, 40000, cookie=7)


def spot(name: str, role: str, *addresses: str, peer: str = "sw") -> Spot:
    device = Device("eth0", "veth", addresses=addresses, peer=(peer, name))
    return Spot(name, role, f"lab.{name}", (device,) if peer else ())


TERRAIN = Terrain("lab", "lab.yaml", {
    "cli": spot("cli", "host", "10.0.0.1/24", "fd00::1/64"),
    "srv": spot("srv", "host", "10.0.0.2/24", "fd00::2/64"),
    "old": spot("old", "host", "10.0.0.3/24"),
    "new": spot("new", "host", "fd00::4/64"),
    "bare": spot("bare", "host"),
    "sw": Spot("sw", "switch", "lab.sw", tuple(
        Device(name, "veth", peer=(name, "eth0"), bridge="br0") for name in ("cli", "srv"))),
})  # fmt: skip


def test_every_sentence_and_every_advice_can_be_filled_in() -> None:
    words = _words(Evidence(PROBE, TERRAIN, "forward", "cli", Facts("cli")))
    for entry in CAUSES:
        assert "{" not in entry.sentence.format_map(words), entry.name
        assert "{" not in entry.advice.format_map(words), entry.name
        assert entry.clues, entry.name
        assert not entry.sentence.endswith("."), entry.name


def test_a_word_of_a_sentence_means_the_same_in_all_of_them() -> None:
    words = _words(Evidence(PROBE, TERRAIN, "forward", "cli", Facts("cli")))
    said = {name: words[name] for name in ("port", "node", "target", "what", "source_port")}
    assert said == {
        "port": "tcp/80", "node": "cli", "target": "srv", "what": "the packet",
        "source_port": "40000",
    }  # fmt: skip


def test_a_word_that_is_both_a_cause_and_a_disposition_means_one_thing() -> None:
    assert len(names()) >= 70
    both = [entry for entry in CAUSES if entry.name in MEANING]
    assert [entry.name for entry in both] == [str(entry.disposition) for entry in both]


def test_of_nothing_nothing_is_concluded() -> None:
    evidence = Evidence(PROBE, TERRAIN, "forward", "cli", Facts("cli"), stage="input")
    assert explain(evidence) == (Disposition.LOST, None)


def test_every_disposition_has_its_meaning() -> None:
    assert list(MEANING) == list(Disposition)


# expectations


def ended(forward: str, whole: str, cause: str = "") -> Trace:
    why = Cause(cause, "") if cause else None
    leg = Leg("forward", (), Disposition(forward), cause=why)
    return Trace("lab", "lab.yaml", PROBE, "observed", Disposition(whole), (leg,))


def test_delivered_holds_whatever_became_of_the_answer() -> None:
    assert meets(ended("delivered", "answered"), "delivered")
    assert meets(ended("delivered", "denied"), "delivered")
    assert not meets(ended("denied", "denied"), "delivered")
    assert not meets(ended("delivered", "delivered"), "answered")


def test_a_cause_or_a_disposition_may_be_expected() -> None:
    found = ended("denied", "denied", "nft-drop")
    assert [meets(found, word) for word in ("denied", "nft-drop", "nft-reject")] == [
        True, True, False,
    ]  # fmt: skip
    for word in ("denied", "nft-drop", "answered"):
        check_expected(word)
    with pytest.raises(UsageError, match="did you mean denied"):
        check_expected("deneid")


# words


@pytest.mark.parametrize(
    ("words", "destination", "target"),
    [
        (Words("cli", "srv"), "10.0.0.2", "srv"),
        (Words("cli", "srv", version=6), "fd00::2", "srv"),
        (Words("cli", "new"), "fd00::4", "new"),
        (Words("cli", "srv", to="192.0.2.1"), "192.0.2.1", "srv"),
        (Words("cli", "10.0.0.3"), "10.0.0.3", "old"),
        (Words("cli", "192.0.2.9"), "192.0.2.9", ""),
        (Words("cli", "FD00:0::2"), "fd00::2", "srv"),
        (Words("cli", "fe80::1%eth0"), "fe80::1%eth0", ""),
    ],
)
def test_who_is_meant(words: Words, destination: str, target: str) -> None:
    probe = probe_of(words, TERRAIN)
    assert (probe.destination, probe.target) == (destination, target)


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        (Words("clu", "srv"), LabNotFound, "has no node clu; did you mean cli"),
        (Words("cli", "nobody"), LabNotFound, "has no node nobody"),
        (Words("cli", "sw"), UsageError, "sw has no address to send to"),
        (Words("sw", "srv"), UsageError, "sw is a switch: it has no address to send from"),
        (Words("bare", "srv"), UsageError, "bare has no IPv4 address to send from"),
        (Words("new", "old"), UsageError, "new has no IPv4 address to send from"),
        (Words("cli", "old", version=6), UsageError, "old has no IPv6 address"),
        (Words("cli", "srv", tcp=80, udp=53), UsageError, "not several"),
        (Words("cli", "srv", to="web"), UsageError, "web is no address"),
        (Words("cli", "srv", to="224.0.0.1"), UsageError, "multicast"),
        (Words("cli", "srv", to="fe80::1"), UsageError, "on every link alike"),
        (Words("cli", "srv", to="fe80::1%eth9"), UsageError, "cli has no device eth9"),
        (Words("cli", "srv", to="10.0.0.2", version=6), UsageError, "is no IPv6 address"),
        (Words("cli", "srv", tcp=80, size=100), UsageError, "the first packet of TCP"),
        (Words("cli", "srv", udp=53, size=31), UsageError, "has 32 to 65535 bytes"),
        (Words("cli", "srv", udp=53, size=65536), UsageError, "has 32 to 65535 bytes"),
        (Words("cli", "srv", size=51, version=6), UsageError, "has 52 to 65535 bytes"),
    ],
)
def test_wrong_words_are_told(words: Words, kind: type[NetlabError], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        probe_of(words, TERRAIN)


# JSON


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_json_both_ways(name: str) -> None:
    text = json.dumps(as_json(trace(name)))
    assert from_json(json.loads(text)) == trace(name)
    jsonschema.validate(json.loads(text), schema())


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_json_both_ways(name: str) -> None:
    from netlab.trace import record as records

    found = record(name)
    assert records.from_json(json.loads(json.dumps(records.as_json(found)))) == found


def test_the_schema_says_what_each_part_is() -> None:
    parts = schema()["$defs"]
    assert [name for name, part in parts.items() if not part.get("description")] == []
    assert parts["Packet"]["properties"]["flags"]["description"].startswith("Of TCP")


def test_a_place_has_its_leg() -> None:
    found = replace(trace("dropped"), place=Place("gw", "lan", "forward", "forward"))
    assert as_json(found)["place"] == {
        "node": "gw", "device": "lan", "hook": "forward", "leg": "forward",
    }  # fmt: skip
