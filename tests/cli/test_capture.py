"""The words of `netlab capture`, as far as they are judged before any lab is looked at."""

from __future__ import annotations

import pytest

from netlab.cli import selection
from netlab.cli.capture import _numbered
from netlab.cli.listening import link_local
from netlab.cli.selection import places
from netlab.errors import LabNotFound
from netlab.trace.terrain import Spot, Terrain
from tests.live.world import netlab

WRONG = {
    "--rotate-size 1M": ("only a file can be followed by others", "-w FILE"),
    "--rotate-time 1min -w -": ("only a file can be followed by others", "-w FILE"),
    "--files 3 -w x": ("--files: when is a file full?", "--rotate-size, --rotate-time"),
    "--json -w -": ("--json or `-w -`, not both: there is one standard output", ""),
    "--duration soon": (
        "--duration: 'soon' is no duration: write 10s, 500ms, 2min or a count of seconds", ""),
    "--duration 0": ("--duration: 0 is no time at all", ""),
    "--rotate-size many -w x": ("--rotate-size: 'many' is no size: write 65536, 64K or 1M", ""),
    "--buffer 0": ("--buffer: '0' is no size: write 65536, 64K or 1M", ""),
    "--count 0": (
        "Invalid value for '--count' / '-c': Input should be greater than or equal to 1",
        "see `netlab capture --help`"),
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG)
def test_options_that_make_no_sense_are_told(words: str) -> None:
    said = netlab("capture", "nosuchlab", *words.split())
    sentence, hint = WRONG[words]
    expected = f"{sentence}\n" + (f"  {hint}\n" if hint else "")
    if "--json" in words:  # the hint is in the document
        expected = f"{sentence}\n"
    assert (said.code, said.err) == (2, expected)


def test_a_terminal_is_spared_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection.os, "isatty", lambda file: True)
    said = netlab("capture", "nosuchlab", "-w", "-")
    assert (said.code, said.err) == (
        2, "a terminal cannot show a pcapng file\n  … -w - | wireshark -k -i -\n")  # fmt: skip


def spots(*names: str) -> Terrain:
    return Terrain("lab", "lab.yaml", {name: Spot(name, "host", f"lab.{name}") for name in names})


def test_places_come_first_and_the_filter_behind_them() -> None:
    lab = spots("gw", "web", "tcp")
    assert places(lab, [], sure=False) == (None, [])
    assert places(lab, ["gw:a", "web", "gw:b"], sure=False) == (
        {"gw": frozenset("ab"), "web": None}, [])  # fmt: skip
    assert places(lab, ["gw:a", "gw"], sure=False) == ({"gw": None}, [])
    assert places(lab, ["gw", "gw:a"], sure=False) == ({"gw": None}, [])
    assert places(lab, ["udp", "port", "53"], sure=False) == (None, ["udp", "port", "53"])
    assert places(lab, ["gw", "(udp", "or", "web)"], sure=False) == (
        {"gw": None}, ["(udp", "or", "web)"])  # fmt: skip
    # a node is a node, whatever else its name means
    assert places(lab, ["tcp", "udp"], sure=False) == ({"tcp": None}, ["udp"])
    assert places(lab, ["10.0.0.1"], sure=False) == (None, ["10.0.0.1"])


@pytest.mark.parametrize("words, sure", [(["gw", "udp"], True), (["gww", "udp"], False)])
def test_what_is_no_place_where_one_has_to_be_is_told(words: list[str], sure: bool) -> None:
    with pytest.raises(LabNotFound) as failure:
        places(spots("gw", "web"), words, sure=sure)
    unknown = next(word for word in words if word != "gw")
    guess = "; did you mean 'gw'?" if unknown == "gww" else ""
    assert str(failure.value) == f"lab lab has no node {unknown}{guess}"
    assert failure.value.hint == "it has gw, web"


def test_files_that_follow_are_numbered_before_their_ending() -> None:
    assert _numbered("a/lab.pcapng", 12) == "a/lab-00012.pcapng"
    assert _numbered("lab", 1) == "lab-00001"


def test_the_address_that_an_interface_gives_itself_is_known_by_its_mac() -> None:
    assert link_local(bytes.fromhex("024a11fe0301")) == "fe80::4a:11ff:fefe:301"
