"""What `kinds` and `init` have to say."""

from __future__ import annotations

import inspect
import re
import sys

from netlab.cli.work import catalogs
from netlab.errors import UsageError
from netlab.render.base import KindText


def kind_texts(name: str | None) -> list[KindText]:
    """All kinds, or those of one name. Raises UsageError for a name that is none."""
    found = catalogs()
    tables = {"node": found.nodes, "device": found.devices, "link": found.links}
    texts = [
        _text(sort, kind, table[kind])
        for sort, table in tables.items()
        for kind in table
        if name in (None, kind)
    ]
    if not texts:
        known = sorted({kind for table in tables.values() for kind in table})
        raise UsageError(f"there is no kind {name}", hint=f"kinds: {', '.join(known)}")
    return texts


def _text(sort: str, name: str, kind: object) -> KindText:
    """From the file of the kind: its docstring, its example, its settings' descriptions."""
    settings = kind.settings  # type: ignore[attr-defined]
    module = sys.modules[f"netlab.{sort}s.{name}"]
    about, _, example = inspect.cleandoc(module.__doc__ or "").partition("Example:")
    keys = {
        field.alias or key: field.description or "" for key, field in settings.model_fields.items()
    }
    return KindText(sort, name, about.strip(), inspect.cleandoc(example), keys)


FIRST = """\
name: {name}
description: Two hosts and the router between them.

nodes:
  alice:
  bob:
  gw: {{kind: router}}

links:
  - [alice, gw]
  - [bob, gw]

routing: static      # the shortest paths, computed
"""


def first_topology(name: str) -> str:
    from netlab.model.words import LAB_NAME

    if not re.fullmatch(LAB_NAME, name):
        raise UsageError(
            f"{name!r} cannot be a lab's name",
            hint="small letters, digits and `-`, at most 31, a letter or digit first",
        )
    return FIRST.format(name=name)
