"""Several netlab processes at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.life import nothing_of, seen, start
from tests.live.world import Said, done, eventually, program

TEXT = """\
name: {lab}
routing: static
nodes: {{a: , sw: {{kind: switch}}, gw: {{kind: router}}, b: {{exec: [{exec}]}}}}
links: [[a, sw], [gw, sw], [b, gw]]
"""


def rounds(file: Path, lab: str) -> list[Said]:
    said = []
    for _ in range(3):
        said += [program("up", file), program("down", lab)]
    return said


def test_six_processes_bring_labs_up_and_down(write: Write, lab: str, tmp_path: Path) -> None:
    labs = [f"{lab}-{n}" for n in range(6)]
    files = [tmp_path / f"{name}.yaml" for name in labs]
    for file, name in zip(files, labs, strict=True):
        file.write_text(TEXT.format(lab=name, exec='"true"'))
    with ThreadPoolExecutor(6) as pool:
        said = [s for some in pool.map(rounds, files, labs) for s in some]
    assert [s for s in said if s.code or s.err] == []
    assert [name for name in labs if not nothing_of(name)] == []


def test_of_two_at_once_one_is_told_who_is_at_it(
    write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "state"))  # gc looks at all labs there are
    begun = tmp_path / "begun"
    line = f"touch {begun}; while test -e {begun}; do sleep .05; done"
    file = write(TEXT.format(lab=lab, exec=f'"{line}"'))
    with start("up", file) as first:
        try:
            eventually(begun.exists, 20)
            busy = f"lab {lab} is being changed by process {first.pid}"
            for words in (["up", file], ["down", lab]):
                said = program(*words)
                assert (said.code, said.out, busy in said.err) == (4, "", True), said
            assert f"{busy}; it is left alone" in program("gc").out
        finally:
            begun.unlink(missing_ok=True)
        assert first.wait(20) == 0
    before = seen(lab)
    assert "is unchanged" in done("up", file)
    assert seen(lab) == before
    done("down", lab)


def test_two_at_once_end_in_one_lab(write: Write, lab: str) -> None:
    file = write(TEXT.format(lab=lab, exec=""))
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            said = list(pool.map(lambda _: program("up", file), range(3)))
        assert sorted({s.code for s in said} | {0}) in ([0], [0, 4]), said
        assert all(s.code == 0 or "is being changed by" in s.err for s in said), said
        assert "is unchanged" in done("up", file)
        with ThreadPoolExecutor(3) as pool:
            said = list(pool.map(lambda _: program("down", lab), range(3)))
        assert {s.code for s in said} <= {0, 4, 5}, said
        assert [s for s in said if "Traceback" in s.err] == []
        assert sum("is down" in s.out for s in said) == 1, said
        assert nothing_of(lab)
