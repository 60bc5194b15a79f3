"""What is asked often must not load what it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys
from netlab.cli.main import run
run(sys.argv[1:])
print("loaded", *sorted({m.partition(".")[0] for m in sys.modules}), file=sys.stderr)
"""


def loaded(*words: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, timeout=60
    )
    first, *modules = ended.stderr.splitlines()[-1].split()
    assert first == "loaded", ended.stderr
    return set(modules)


@pytest.mark.parametrize(
    "words",
    [["ls"], ["ls", "--json"], ["--version"], ["--help"], ["-h"], [], ["show", "no-such-lab"],
     ["exec", "no-such-lab", "n", "--", "true"]],
    ids=" ".join,
)  # fmt: skip
def test_what_is_asked_often_loads_no_great_guest(words: list[str]) -> None:
    assert loaded(*words).isdisjoint({"pyroute2", "rich", "pydantic", "yaml"})


@pytest.mark.parametrize(
    "words", [["ls"], ["show", "no-such-lab"], ["exec", "no-such-lab", "n", "--", "true"]],
    ids=" ".join,
)  # fmt: skip
def test_what_is_read_from_journals_alone_loads_no_typer(words: list[str]) -> None:
    assert "typer" not in loaded(*words)


def test_the_way_into_a_node_is_short() -> None:
    code = "import sys, netlab.cli.main, netlab.cli.enter; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"typing", "dataclasses", "json", "inspect", "typer"}.isdisjoint(modules)
