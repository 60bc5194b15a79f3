"""A command in a node: how it ends, and what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from netlab.checks.base import Seen, Site, Sort
from netlab.model.checks import RunTest

LONGEST = 200
"""Characters of what it said that are told."""
PATIENCE = 60.0
"""Seconds for one run, whatever `within` says: a command has its own time."""


def attempt(test: RunTest, site: Site, within: float) -> Seen:
    into = [sys.executable, "-m", "netlab", "exec", site.terrain.lab, test.on, "--"]
    try:
        ended = subprocess.run(
            [*into, *test.argv], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Seen(False, f"it did not end within {PATIENCE:g} s")
    out = ended.stdout.decode(errors="replace")
    errors = ended.stderr.decode(errors="replace")
    said = f"exit code {ended.returncode}, {_told(out or errors)}"
    wanted = test.expect
    if ended.returncode != wanted.exit:
        complaint = f", and said {_told(errors)}" if out and errors.strip() else ""
        return Seen(False, said + complaint)
    if wanted.output not in out:
        return Seen(False, f"{said}, without {wanted.output!r}")
    if not re.search(wanted.matches, out, re.M):
        return Seen(False, f"{said}, where nothing matches {wanted.matches!r}")
    if wanted.json_ is not None:
        missing = _missing(wanted.json_, out)
        return Seen(not missing, f"{said}{missing and f': {missing}'}")
    return Seen(True, said)


def _missing(wanted: Any, out: str) -> str:
    """What the output, as JSON, has not; "" for nothing."""
    try:
        found = json.loads(out)
    except ValueError as problem:
        return f"it is no JSON, {problem}"
    return "" if holds(found, wanted) else f"it does not hold {json.dumps(wanted)}"


def holds(found: Any, wanted: Any) -> bool:
    """Keys of mappings and items of lists may be more; all else is the same."""
    if isinstance(wanted, dict):
        is_mapping = isinstance(found, dict)
        return is_mapping and all(k in found and holds(found[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(holds(f, w) for f in found) for w in wanted)
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _told(text: str) -> str:
    text = text.strip()
    return repr(text[:LONGEST] + ("…" if len(text) > LONGEST else "")) if text else "no output"


sort = Sort(attempt=attempt, alone=True)
