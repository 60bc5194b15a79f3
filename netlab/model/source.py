"""YAML text as plain data that remembers where each word stands.

A subset that holds no surprises: plain words become null, booleans, numbers or text (YAML 1.2's
core schema, and `on`, `off`, `yes`, `no`); keys are always text; no dates, no base 60, no tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.reader import ReaderError

try:
    from yaml.cyaml import CParser as _Parser  # type: ignore[attr-defined]
except ImportError:  # PyYAML was built without libyaml
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class _Parser(Reader, Scanner, Parser, Composer):  # type: ignore[no-redef]
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)


Path: TypeAlias = tuple[str | int, ...]
YamlNode: TypeAlias = ScalarNode | SequenceNode | MappingNode

MOST_BYTES = 4 << 20
MOST_VALUES = 200_000
"""Values in a file, with every alias written out."""

MOST_DEPTH = 40
PLAIN = "plain"
STANDARD_TAG = "tag:yaml.org,2002:"
TAGS = frozenset({PLAIN, "str", *(STANDARD_TAG + t for t in ("str", "map", "seq"))})

WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **{w: True for b in ("true", "yes", "on") for w in (b, b.title(), b.upper())},
    **{w: False for b in ("false", "no", "off") for w in (b, b.title(), b.upper())},
}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,16}")
_FIRST_LINE = re.compile(r"\n( *)[^\n]*?\S")
UNCLOSED = {"'": "quote", '"': "quote", "[": "`[`", "{": "`{`"}
SAID = (
    ("another document", "a second document begins here", "a file is one lab"),
    ("<document start>", "there is text behind the end of the document", ""),
    ("incompatible YAML document", "this version of YAML is not known", "leave the line out"),
    ("maximum nesting depth", f"nested more than {MOST_DEPTH} deep", ""),
    ("tab character", "a tab cannot indent", "use blanks"),
    ("cannot start any token", "no value can begin with this", "text with @ ` or % needs quotes"),
    (
        "values are not allowed",
        "a second `:` in one value",
        "text with `: ` in it needs quotes; or is a `:` missing in the line above?",
    ),
    (
        "unknown escape character",
        "an unknown escape stands in this text",
        "within \"…\" a backslash is written as two of them; within '…' as it is",
    ),
    ("undefined alias", "no `&` names this alias", "text that begins with * needs quotes"),
    ("expected ',' or ']'", "a `,` or the closing `]` is missing before this", ""),
    ("expected ',' or '}'", "a `,` or the closing `}` is missing before this", ""),
    ("could not find expected ':'", "there is no `:` behind this key", ""),
    ("expected key", "a key is meant here", "is it indented as its neighbours are?"),
    ("expected <block end>", "a key is meant here", "is it indented as its neighbours are?"),
    ("expected '-' indicator", "an item `- …` is meant here", "is it indented as its neighbours?"),
    ("node content", "a value is missing before this", ""),
)
"""What libyaml and PyYAML say, what we say, and the way out."""

FLOAT = re.compile(r"[-+]?[0-9]{1,30}\.[0-9]{0,30}([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Fault:
    """Something wrong with the text itself. Line and column count from 1."""

    line: int
    column: int
    message: str
    hint: str = ""


@dataclass
class Source:
    """``data`` is None where the text could not be read at all."""

    data: Any = None
    faults: list[Fault] = field(default_factory=list)
    root: YamlNode | None = None
    text: str = ""
    _children: dict[int, dict[str, tuple[YamlNode, YamlNode]]] = field(default_factory=dict)

    def locate(self, path: Path, *, at_key: bool = False) -> tuple[int, int, Path]:
        """Line and column of what stands there, and the part of the path that was found.

        Steps that the file's short forms leave out are left out here too.
        """
        node, key, found = self.root, None, []
        for part in path:
            inner_key, inner = self._child(node, part)
            if inner is not None:
                node, key = inner, inner_key
                found.append(part)
            elif not (isinstance(node, SequenceNode) and isinstance(part, str)):
                break
        if node is None:
            return 1, 1, ()
        is_block = not isinstance(node, ScalarNode) and not node.flow_style
        mark = key.start_mark if key is not None and (at_key or is_block) else node.start_mark
        return mark.line + 1, mark.column + 1, tuple(found)

    def text_place(self, path: Path) -> tuple[int, int]:
        """Of a text: the line of its first line, counted from 1, and how far it is indented."""
        node = self.root
        for part in path:
            inner = self._child(node, part)[1]
            node = inner if inner is not None else node
        if not isinstance(node, ScalarNode):
            return 1, 0
        line, column = node.start_mark.line, node.start_mark.column
        if node.style not in ("|", ">"):
            return line + 1, column + (1 if node.style else 0)
        first = _FIRST_LINE.search(self.text, node.start_mark.index)
        return line + 2, len(first[1]) if first else 0

    def _child(
        self, node: YamlNode | None, part: str | int
    ) -> tuple[YamlNode | None, YamlNode | None]:
        if isinstance(node, SequenceNode) and isinstance(part, int):
            return (None, node.value[part]) if 0 <= part < len(node.value) else (None, None)
        if isinstance(node, MappingNode) and isinstance(part, str):
            return self._keys(node).get(part, (None, None))
        return None, None

    def _keys(self, node: MappingNode) -> dict[str, tuple[YamlNode, YamlNode]]:
        """Keys and values; what `<<` brings in counts where nothing else says it."""
        known = self._children.get(id(node))
        if known is None:
            known = self._children[id(node)] = {}  # there already, should it merge itself
            for key, value in node.value:
                if isinstance(key, ScalarNode):
                    known.setdefault(key.value, (key, value))
            for merged in _merged_nodes(node):
                for word, pair in self._keys(merged).items():
                    known.setdefault(word, pair)
        return known


def parse(raw: bytes | str) -> Source:
    """Never raises: what is wrong is among the faults."""
    source = Source()
    text = _decoded(raw, source.faults)
    if text is None:
        return source
    source.text = text
    try:
        source.root = cast(YamlNode | None, _Composer(text).get_single_node())
    except MarkedYAMLError as problem:
        source.faults.append(_fault_of(problem, text))
    except ReaderError as problem:
        source.faults.append(_bad_character(text, problem))
    except RecursionError:  # only without libyaml, which counts by itself
        source.faults.append(Fault(1, 1, f"nested more than {MOST_DEPTH} deep"))
    except (YAMLError, ValueError) as problem:
        source.faults.append(Fault(1, 1, f"this is no YAML: {problem}"))
    if source.root is not None:
        source.data = _Builder(source.faults).value(source.root)
        source.faults = list(dict.fromkeys(source.faults))
    return source


class _Composer(_Parser):
    """Builds the tree of nodes; what plain words mean is decided later."""

    def descend_resolver(self, parent: Any, index: Any) -> None:
        return None

    def ascend_resolver(self) -> None:
        return None

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return PLAIN if kind is not ScalarNode or implicit[0] else "str"


def _decoded(raw: bytes | str, faults: list[Fault]) -> str | None:
    size = len(raw)
    if size > MOST_BYTES:
        faults.append(Fault(1, 1, f"the file has {size:,} bytes; {MOST_BYTES:,} are the most"))
        return None
    try:
        # text that came from somewhere else may hold halves of characters, which no file can
        whole = raw if isinstance(raw, bytes) else raw.encode()
        return whole.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before, what = problem.object[: problem.start].decode(), f"byte 0x{raw[problem.start]:02x}"
    except UnicodeEncodeError as problem:
        before = problem.object[: problem.start]
        what = f"character U+{ord(problem.object[problem.start]):04X}"
    line, column = _end_of(before)
    faults.append(Fault(line, column, f"{what} is not UTF-8", "save the file as UTF-8"))
    return None


def _end_of(text: str) -> tuple[int, int]:
    """Line and column of what follows."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _fault_of(problem: MarkedYAMLError, text: str) -> Fault:
    words = " ".join(w for w in (problem.problem, problem.context) if w)
    mark, begun = problem.problem_mark or problem.context_mark, problem.context_mark
    lines = text.splitlines() or [""]
    end = len(lines) - 1, len(lines[-1])
    is_open = (mark is not None and (mark.line, mark.column) >= end) or "document indic" in words
    if begun is not None and is_open and begun.line < len(lines):
        opening = UNCLOSED.get(lines[begun.line][begun.column : begun.column + 1])
        if opening:
            message = f"the {opening} that begins here is never closed"
            return Fault(begun.line + 1, begun.column + 1, message)
    if mark is None:
        return Fault(1, 1, words)
    at = min((mark.line, mark.column), end)
    if lines[at[0]][at[1] : at[1] + 1] == "\t":
        return Fault(at[0] + 1, at[1] + 1, "a tab cannot indent", "use blanks")
    for sign, message, hint in SAID:
        if sign in words:
            return Fault(at[0] + 1, at[1] + 1, message, hint)
    return Fault(at[0] + 1, at[1] + 1, words)


def _bad_character(text: str, problem: ReaderError) -> Fault:
    code = problem.character if isinstance(problem.character, int) else ord(problem.character)
    place = max(text.find(chr(code)), 0)
    return Fault(*_end_of(text[:place]), f"character U+{code:04X} has no place in a text file")


def _merged_nodes(node: MappingNode) -> Iterator[MappingNode]:
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == "<<" and key.tag == PLAIN:
            several = value.value if isinstance(value, SequenceNode) else [value]
            yield from (v for v in several if isinstance(v, MappingNode))


class _Builder:
    """Plain values out of nodes. What an alias repeats is built once and counted each time."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._built: dict[int, tuple[Any, int]] = {}
        self._under_way: set[int] = set()
        self._depth = 0
        self._is_full = False

    def value(self, node: YamlNode) -> Any:
        value, count = self._sized(node)
        if count > MOST_VALUES:
            self._fault(node, f"with its aliases written out, the file holds {count:,} values")
            return None
        return value

    def _fault(self, node: YamlNode, message: str, hint: str = "") -> None:
        mark = node.start_mark
        self._faults.append(Fault(mark.line + 1, mark.column + 1, message, hint))

    def _sized(self, node: YamlNode) -> tuple[Any, int]:
        if isinstance(node, ScalarNode):
            return self._scalar(node), 1
        known = self._built.get(id(node))
        if known is not None:
            return known
        if id(node) in self._under_way:
            self._fault(node, "this holds itself, by an alias")
            return None, 1
        if self._depth >= MOST_DEPTH:
            self._fault(node, f"nested more than {MOST_DEPTH} deep")
            return None, 1
        self._tag(node)
        self._under_way.add(id(node))
        self._depth += 1
        found = self._sequence(node) if isinstance(node, SequenceNode) else self._mapping(node)
        self._depth -= 1
        self._under_way.discard(id(node))
        self._built[id(node)] = found
        return found

    def _tag(self, node: YamlNode) -> None:
        if node.tag not in TAGS:
            tag = node.tag.replace(STANDARD_TAG, "!!")
            self._fault(node, f"the tag {tag} means nothing here")

    def _has_zero(self, node: ScalarNode) -> bool:
        """The kernel, and every program, takes it for a text's end."""
        if "\0" not in node.value:
            return False
        self._fault(node, "a text here holds no zero bytes")
        return True

    def _sequence(self, node: SequenceNode) -> tuple[list[Any], int]:
        values, total = [], 1
        for item in node.value:
            value, count = self._sized(item)
            values.append(value)
            total += count
        return values, total

    def _mapping(self, node: MappingNode) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        total = 1
        for key, inner in node.value:
            if not isinstance(key, ScalarNode):
                self._fault(key, "a key must be a single word")
                continue
            if self._has_zero(key):
                continue
            if key.value == "<<" and key.tag == PLAIN:
                total += self._merge(inner)
                continue
            if key.value in values:
                hint = "the second would silently win"
                first = f"the key {_short(key.value)} stands in line {lines[key.value]} already"
                self._fault(key, first, hint)
                continue
            values[key.value], count = self._sized(inner)
            lines[key.value] = key.start_mark.line + 1
            total += count
        whole: dict[str, Any] = {}
        for merged in reversed([*_merged_nodes(node)]):
            whole.update(self._sized(merged)[0] or {})
        return whole | values, total

    def _merge(self, node: YamlNode) -> int:
        several = node.value if isinstance(node, SequenceNode) else [node]
        for one in several:
            if not isinstance(one, MappingNode):
                self._fault(one, "`<<` merges mappings only")
        return self._sized(node)[1]

    def _scalar(self, node: ScalarNode) -> Any:
        text = node.value.replace("\0", "") if self._has_zero(node) else node.value
        if node.tag != PLAIN:
            self._tag(node)
            return text
        if text in WORDS:
            return WORDS[text]
        if INTEGER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        return float(text) if FLOAT.fullmatch(text) else text


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
