"""What `gc` sweeps, in a state directory of its own: it looks at all labs there are.

    a ── sw ── gw
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.life import journal, namespaces, nothing_of, seen
from tests.live.world import done, inside, tool

TEXT = """\
nodes: {a: {files: {/etc/motd: {text: hello}}}, sw: {kind: switch}, gw: {kind: router}}
links: [[a, sw], [gw, sw]]
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "state"))
    return str(tmp_path / "state")


@pytest.fixture
def file(write: Write, state: str) -> Iterator[Path]:
    file = write(TEXT)
    done("up", file)
    yield file
    done("down", "--all")


def test_deleted_namespaces_are_swept(file: Path, lab: str, state: str) -> None:
    before = seen(lab)
    tool("ip", "netns", "del", f"{lab}.sw")
    swept = done("gc")
    assert f"{lab}: sw deleted by hand; swept, `netlab up {file}` brings it back" in swept
    assert lab not in done("gc")
    done("up", file)
    assert seen(lab) == before
    for ns in namespaces(lab):
        tool("ip", "netns", "del", ns)
    assert f"{lab}: its namespaces were deleted by hand; the rest is swept" in done("gc")
    assert nothing_of(lab, state)


def test_a_journal_of_another_boot_is_swept(file: Path, lab: str, state: str) -> None:
    raw = journal(lab, state)
    done("down", lab)
    header, rest = raw.split(b"\n", 1)
    old = json.dumps({**json.loads(header), "boot": "another"}).encode() + b"\n" + rest
    left_by_another_boot(lab, state, old)
    swept = done("gc").splitlines()
    assert f"{lab}: the machine has been started anew since; its files are swept" in swept
    assert nothing_of(lab, state)
    left_by_another_boot(lab, state, old)
    assert "the machine has been started anew since" in done("down", lab)
    assert nothing_of(lab, state)
    left_by_another_boot(lab, state, old)
    done("up", file)
    assert inside(lab, "a", "ping", "-c1", "-W2", "gw").code == 0


def left_by_another_boot(lab: str, state: str, raw: bytes) -> None:
    place = Path(state, lab)
    (place / "nodes").mkdir(parents=True, mode=0o755)
    (place / "hosts").write_text("")
    (place / "journal").write_bytes(raw)


def test_half_built_labs_are_named(file: Path, lab: str, state: str) -> None:
    place = Path(state, lab, "journal")
    place.write_bytes(b"".join(place.read_bytes().splitlines(keepends=True)[:-1]))
    said = f"{lab}: left half-built; `netlab up` finishes it, `netlab down {lab}` clears it"
    assert said in done("gc")
    done("up", file)
    assert lab not in done("gc")


def test_a_start_cut_short_is_told(file: Path, lab: str, state: str) -> None:
    done("down", lab)
    place = Path(state, lab)
    place.mkdir(parents=True, mode=0o755)
    (place / "journal").write_bytes(b'{"format": 1, "la')
    words = "its start was cut short before anything was made"
    assert words in done("gc")
    assert nothing_of(lab, state)
