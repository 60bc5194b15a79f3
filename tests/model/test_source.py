"""YAML as plain data with places."""

import subprocess
import sys
from typing import Any

import pytest

from netlab.model.source import parse
from tests.model.kinds import ROOT


def value(text: str) -> Any:
    source = parse(f"value: {text}\n")
    assert source.faults == []
    return source.data["value"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("TRUE", True),
        ("on", True),
        ("Yes", True),
        ("off", False),
        ("no", False),
        ("y", "y"),
        ("0", 0),
        ("-17", -17),
        ("0x1f", 31),
        ("0o644", 0o644),
        ("0644", "0644"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("1.5e3", 1500.0),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("12:34", "12:34"),
        ("02:00:00:00:00:01", "02:00:00:00:00:01"),
        ("12:34:56:12:34:56", "12:34:56:12:34:56"),
        ("2026-01-01", "2026-01-01"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::/8", "fd00::/8"),
        ('"true"', "true"),
        ("'17'", "17"),
        ("!!str 17", "17"),
        ("9" * 5000, "9" * 5000),
        ("{on: 1, 1: 2, no: 3, ~: 4}", {"on": 1, "1": 2, "no": 3, "~": 4}),
    ],
)
def test_a_word_means(text: str, meant: Any) -> None:
    found = value(text)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_do_not_matter(end: str, mark: str) -> None:
    source = parse((mark + end.join(["a:", "  b: 1", "c: 2", ""])).encode())
    assert source.data == {"a": {"b": 1}, "c": 2}
    assert source.locate(("c",)) == (3, 4, ("c",))


def test_merge_keys() -> None:
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nall: {<<: [*one, *two], c: 3}\n"
    assert parse(text).data["all"] == {"a": 1, "b": 1, "c": 3}


def test_a_merged_value_is_where_it_was_written() -> None:
    source = parse("one: &one {a: 1}\nall:\n  <<: *one\n")
    assert source.locate(("all", "a")) == (1, 15, ("all", "a"))


def test_places() -> None:
    source = parse("nodes:\n  gw:\n    routes:\n      - {to: x, via: y}\n")
    path = ("nodes", "gw", "routes", 0, "via")
    assert source.locate(path) == (4, 22, path)
    assert source.locate(path, at_key=True) == (4, 17, path)
    # what is not there is told by what is around it; a block by its key
    assert source.locate((*path[:2], "kind")) == (2, 3, path[:2])
    assert source.locate((*path[:3], 7)) == (3, 5, path[:3])


def test_places_below_what_holds_itself() -> None:
    source = parse("a: &a {<<: *a, b: 1}\n")
    assert [f.message for f in source.faults] == ["this holds itself, by an alias"]
    assert source.locate(("a", "nothing")) == (1, 4, ("a",))


def test_all_double_keys_at_once() -> None:
    source = parse("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n")
    assert [(f.line, f.column, f.message) for f in source.faults] == [
        (3, 1, "the key 'a' stands in line 1 already"),
        (4, 11, "the key 'd' stands in line 4 already"),
    ]


def test_aliases_are_counted_and_not_followed() -> None:
    doubled = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 100))
    (fault,) = parse("a0: &a0 x\n" + doubled).faults
    assert "with its aliases written out" in fault.message


def test_merges_are_counted_and_not_followed() -> None:
    doubled = "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 100))
    source = parse("a0: &a0 {x: 1}\n" + doubled)
    assert len(source.faults) == 1
    assert source.locate(("a99", "nothing")) == (100, 6, ("a99",))


def test_the_parser_written_in_python_says_the_same() -> None:
    """PyYAML may be built without libyaml."""
    script = "import sys; sys.modules['yaml.cyaml'] = None; import pytest; " \
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'tests/model/test_bad.py', " \
        "'-k', 'it_is_told']))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
