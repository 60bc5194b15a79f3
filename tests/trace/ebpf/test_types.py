"""Answers are kept, also those that say no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.trace.bpf import btf
from netlab.trace.bpf.btf import Btf, NoSuchType, Way
from netlab.trace.bpf.types import Types, build_id
from tests.trace.ebpf.test_btf import kernel


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is opened; it is the kernel that ``test_btf`` writes."""
    names: list[str] = []

    def open_(name: str) -> bytes:
        names.append(name)
        return kernel().data()

    monkeypatch.setattr(btf, "read", open_)
    monkeypatch.setattr(btf, "_listed", lambda: ["vmlinux"])
    return names


def test_the_second_time_nothing_is_read(tmp_path: Path, opened: list[str]) -> None:
    for _ in range(2):
        types = Types(str(tmp_path / "cache"))
        assert types.way("sk_buff.len") == Way((40,), 4)
        assert types.arguments("kfree_skb")[0] == "sk_buff *"
        assert types.names("skb_drop_reason")[3] == "NO_SOCKET"
        with pytest.raises(NoSuchType, match="no struct nothing"):
            types.way("nothing.x")
        types.keep()
        read = len(opened)
        opened.clear()
    assert read == 0
    assert [f.name for f in (tmp_path / "cache").iterdir()] == [f"btf-{build_id()}.json"]


def test_without_a_directory_nothing_is_kept(opened: list[str]) -> None:
    types = Types()
    types.way("sk_buff.len")
    types.keep()
    assert opened == ["vmlinux"]


def test_what_there_was_not_may_come_with_a_module(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    types = Types(str(tmp_path))
    assert types.way("sk_buff.len") == Way((40,), 4)
    for _ in range(2):
        with pytest.raises(NoSuchType, match="no tracepoint br_fdb_update"):
            types.arguments("br_fdb_update")
        types.keep()
        opened.clear()
        types = Types(str(tmp_path))
    assert opened == []
    monkeypatch.setattr(btf, "_listed", lambda: ["vmlinux", "bridge"])
    later = Types(str(tmp_path))
    assert later.way("sk_buff.len") == Way((40,), 4)
    assert opened == []
    with pytest.raises(NoSuchType):
        later.arguments("br_fdb_update")
    assert opened == ["vmlinux", "bridge"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"modules": [], "answers": 3}', '{"modules": [],'
     ' "answers": {"way sk_buff.len": 3}}', '{"way sk_buff.len": {"is": [[1], 4]}}'],
)  # fmt: skip
def test_a_file_that_is_broken_is_written_anew(
    text: str, tmp_path: Path, opened: list[str]
) -> None:
    file = tmp_path / f"btf-{build_id()}.json"
    file.write_text(text)
    types = Types(str(tmp_path))
    assert types.way("sk_buff.len") == Way((40,), 4)
    types.keep()
    assert json.loads(file.read_text()) == {
        "modules": ["vmlinux"], "answers": {"way sk_buff.len": {"is": [[40], 4]}},
    }  # fmt: skip


def test_where_nothing_can_be_written_it_goes_on(tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "file").write_text("")
    types = Types(str(tmp_path / "file"))
    assert types.way("sk_buff.len") == Way((40,), 4)
    types.keep()
    assert opened == ["vmlinux"]
    assert Btf(kernel().data()).way("sk_buff.len") == Way((40,), 4)
