"""Numbers and switches must be written as such.

Pydantic alone would take the text '0644' for 644 and `yes` for 1, neither of which was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, BeforeValidator

from netlab.model.sentences import Wrong, shown
from netlab.model.source import Path

OCTAL = re.compile(r"0[0-7]+")
NUMBER = re.compile(r"[0-9]+")


class _Shape(NamedTuple):
    scalar: type | None
    """int or bool, where nothing else is understood."""
    inner: type[BaseModel] | None
    is_table: bool
    """Whether the inner models stand under names of their own."""


def inexact(model: type[BaseModel], data: Any, path: Path = ()) -> Iterator[Wrong]:
    """What was written as something else than the number or the switch that is meant."""
    if isinstance(data, dict):
        shapes = _shapes(model)
        for key in shapes.keys() & data.keys():
            yield from _below(shapes[key], data[key], (*path, key))


def _below(shape: _Shape, value: Any, path: Path) -> Iterator[Wrong]:
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _below(shape, item, (*path, place))
    elif isinstance(value, dict) and shape.inner is not None:
        inner = value if shape.is_table else {None: value}
        for key, data in inner.items():
            yield from inexact(shape.inner, data, path if key is None else (*path, key))
    elif shape.scalar is int and type(value) in (str, bool, float):
        yield Wrong(path, f"a whole number is meant here, not {shown(value)}", _hint(value))
    elif shape.scalar is bool and type(value) in (str, int, float):
        yield Wrong(path, f"`true` or `false` is meant here, not {shown(value)}")


def _hint(value: object) -> str:
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        return ""
    return f"octal is written 0o{value.lstrip('0')}" if OCTAL.fullmatch(value) else "without quotes"


@cache
def _shapes(model: type[BaseModel]) -> dict[str, _Shape]:
    fields = model.model_fields.items()
    return {
        field.alias or name: _shape(field.annotation)
        for name, field in fields
        # what reads its own words, as 64K, knows what it understands
        if not any(isinstance(m, BeforeValidator) for m in field.metadata)
    }


def _shape(annotation: Any) -> _Shape:
    leaves = set(_leaves(annotation)) - {NoneType}
    only = next(iter(leaves)) if len(leaves) == 1 else None
    models = [leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, BaseModel)]
    is_table = get_origin(annotation) is dict
    return _Shape(only if only in (int, bool) else None, models[0] if models else None, is_table)


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types at the ends: of ``tuple[int, ...] | None``, int and NoneType."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if not inner or origin is Literal:
        yield annotation
    elif origin is Annotated:
        yield from _leaves(inner[0])
    else:
        for one in inner[1:] if origin is dict else inner:
            if one is not Ellipsis:
                yield from _leaves(one)
