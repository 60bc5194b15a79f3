"""What pydantic finds wrong, in sentences of our own, with what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from netlab.model.guess import meant
from netlab.model.processes import PROCESS_NAME
from netlab.model.source import Path
from netlab.model.words import INTERFACE_NAME, LAB_NAME, NODE_NAME, WORD

LONGEST_SHOWN = 60
LONGEST_INTERFACE = 15
NOWHERE = object()

NAMES = {
    LAB_NAME: "a lab's name: small letters, digits and `-`, at most 31, a letter or digit first",
    NODE_NAME: "a node's name: letters, digits, `-` and `_`, at most 31, a letter or digit first",
    PROCESS_NAME: (
        "a process's name: letters, digits, `_`, `.` and `-`, at most 31, a letter or digit first"
    ),
    WORD: "one word",
    INTERFACE_NAME: "an interface's name: 1 to 15 of letters, digits, `_`, `.` and `-`",
}
LIMITS = {
    "greater_than_equal": ("ge", "is less than {}, the least there is"),
    "less_than_equal": ("le", "is more than {}, the most there is"),
}
MEANT = {
    "int": "a whole number",
    "bool": "`true` or `false`",
    "string": "text",
    "float": "a number",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "mapping": "a mapping",
}


class Wrong(NamedTuple):
    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


def sentences(
    failure: ValidationError, model: type[BaseModel], data: Any, *, is_part: bool = False
) -> Iterator[Wrong]:
    """One for each place; ``data`` is what was validated, so that paths are those of the file.

    A part may lack what another part will bring.
    """
    by_place: dict[Path, list[Mapping[str, Any]]] = {}
    for error in failure.errors(include_url=False):
        if is_part and error["type"] == "missing":
            continue
        path = _path(error["loc"], data, error["type"])
        by_place.setdefault(path, []).append(error)
    for path, errors in by_place.items():
        # of the branches of a union, the one that speaks our own words knows best
        errors.sort(key=lambda e: e["type"] != "value_error")
        words = [e["ctx"]["expected"] for e in errors[1:] if e["type"] == "literal_error"]
        wrong = _sentence(path, errors[0], model)
        close = meant(errors[0]["input"], [w.strip("'") for w in words])
        yield wrong._replace(hint=wrong.hint or close or " or ".join(f"or {w}" for w in words))


def _sentence(path: Path, error: Mapping[str, Any], model: type[BaseModel]) -> Wrong:
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "extra_forbidden":
        return unknown_key(path, _keys_at(model, path[:-1]))
    if kind == "missing" and isinstance(path[-1], int):
        return Wrong(path[:-1], f"a link has two endpoints, not {path[-1]}")
    if kind == "missing":
        return Wrong(path[:-1], f"`{path[-1]}` is missing")
    if kind == "value_error":
        return Wrong(path, str(context["error"]), at_key=error["loc"][-1:] == ("[key]",))
    if kind == "literal_error":
        choices = [c.strip("'") for c in re.split(r", | or ", context["expected"])]
        return Wrong(
            path, f"{shown(value)} is not one of {', '.join(choices)}", meant(value, choices)
        )
    if kind in LIMITS:
        word, sentence = LIMITS[kind]
        return Wrong(path, f"{shown(value)} {sentence.format(context[word])}")
    if kind == "string_pattern_mismatch":
        if context["pattern"] == INTERFACE_NAME and len(str(value)) > LONGEST_INTERFACE:
            message = f"interface name {shown(value)} is longer than {LONGEST_INTERFACE} bytes"
            return Wrong(path, message)
        what = NAMES.get(context["pattern"], f"of the form {context['pattern']}")
        return Wrong(path, f"{shown(value)} is not {what}", at_key=path[-1:] == (value,))
    if kind in ("too_short", "too_long") and path[-1:] == ("endpoints",):
        return Wrong(path, f"a link has two endpoints, not {context['actual_length']}")
    for word, what in MEANT.items():
        if kind.startswith(word):
            return Wrong(path, f"{what} is meant here, not {shown(value)}")
    return Wrong(path, str(error["msg"]))


def unknown_key(path: Path, known: Iterable[str]) -> Wrong:
    keys = list(known)
    hint = meant(path[-1], keys) or (f"keys here: {', '.join(keys)}" if len(keys) < 10 else "")
    return Wrong(path, f"unknown key {shown(path[-1])}", hint, True)


def shown(value: object) -> str:
    """As the file would write it, cut short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _path(loc: tuple[int | str, ...], data: Any, kind: str) -> Path:
    """Without the names of a union's branches, which the file knows nothing of."""
    path: list[int | str] = []
    for place, part in enumerate(loc):
        if isinstance(data, dict):
            found = data.get(part, NOWHERE)
        else:
            is_in = isinstance(data, list) and isinstance(part, int) and part < len(data)
            found = data[part] if is_in else NOWHERE
        if found is not NOWHERE:
            data = found
        elif kind != "missing" or place < len(loc) - 1:
            continue
        path.append(part)
    return tuple(path)


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that are known at a place below a model."""
    at: type[BaseModel] = model
    for part in path:
        field = at.model_fields.get(str(part))
        inner = next(_models(field.annotation), None) if field else None
        at = inner or at
    return [field.alias or name for name, field in at.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
