"""A command in a node: how it ends, and what it says."""

from __future__ import annotations

import re
import subprocess
import sys

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
    said = f"exit code {ended.returncode}, {_told(out or ended.stderr.decode(errors='replace'))}"
    wanted = test.expect
    if ended.returncode != wanted.exit:
        return Seen(False, said)
    if wanted.output not in out:
        return Seen(False, f"{said}, without {wanted.output!r}")
    if not re.search(wanted.matches, out, re.M):
        return Seen(False, f"{said}, where nothing matches {wanted.matches!r}")
    return Seen(True, said)


def _told(text: str) -> str:
    text = text.strip()
    return repr(text[:LONGEST] + ("…" if len(text) > LONGEST else "")) if text else "no output"


sort = Sort(attempt=attempt)
