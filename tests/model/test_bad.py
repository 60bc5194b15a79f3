"""Topologies that are wrong, each with what must be said about it in its first lines."""

from pathlib import Path

import pytest

from tests.model.kinds import ROOT, read, said

FILES = sorted((ROOT / "tests" / "bad").glob("*.yaml"))
SIGN = "# expect: "


def test_there_are_many() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_told(file: Path) -> None:
    text = file.read_text()
    expected = [line.removeprefix(SIGN) for line in text.splitlines() if line.startswith(SIGN)]
    loaded = read(text, file.name)
    sentences = said(loaded)
    assert expected
    assert [e for e in expected if not any(e in s for s in sentences)] == [], sentences
    lines = text.splitlines()
    for problem in loaded.problems:
        assert 1 <= problem.line <= len(lines), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
        assert not lines[problem.line - 1].startswith(SIGN) or problem.line == 1, problem


UNWRITABLE: dict[str, tuple[bytes | str, str]] = {
    "empty": (b"", "not nothing"),
    "blank": (b"\n\n", "not nothing"),
    "comments only": (b"# nothing\n", "not nothing"),
    "latin-1": ("nodes: {a: {description: café}}\n".encode("latin-1"), "byte 0xe9 is not UTF-8"),
    "utf-16": ("nodes: {a: }\n".encode("utf-16"), "byte 0xff is not UTF-8"),
    "nul": (b"nodes: {a: \0}\n", "character U+0000 has no place"),
    "bell": (b"nodes: {a: \x07}\n", "character U+0007 has no place"),
    "half a character": ("nodes: {a: \ud800}\n", "character U+D800 is not UTF-8"),
    "huge": (b"x" * 10_000_000, "the file has 10,000,000 bytes"),
    "deep": (b"[" * 1_000_000, "nested more than 40 deep"),
    "deep items": (b"- " * 1_000_000, "nested more than 40 deep"),
    "deep keys": (b"? " * 1_000_000, "nested more than 40 deep"),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_no_file_here_can_hold(name: str) -> None:
    text, expected = UNWRITABLE[name]
    loaded = read(text)
    assert loaded.topology is None
    (problem,) = loaded.problems
    assert expected in problem.message
    assert (problem.line, problem.column) >= (1, 1)


def test_the_column_counts_characters_not_bytes() -> None:
    (problem,) = read("# é ".encode() + b"\xff").problems
    assert (problem.line, problem.column) == (1, 5)
