"""What the words mean: which lab, which node, which renderer. Loads next to nothing.

A node's identity is found by searching the journal's text, so that `netlab exec` in a lab of 1,000
nodes starts as fast as in one of two.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from netlab.errors import LabNotFound, StateRefused, UsageError
from netlab.lab import state

TYPE_CHECKING = False
if TYPE_CHECKING:  # see netlab.errors
    from collections.abc import Iterable
    from typing import NoReturn

    from netlab.render.base import Renderer

STATE = "NETLAB_STATE"
"""The variable that moves the state directory, for tests and for machines without /run."""


WHICH_ARE = "`netlab ls` tells which are"


def check_place(option: str, path: str) -> None:
    """Before anything is done for a file that an option names. Raises UsageError."""
    directory = os.path.dirname(path) or "."
    if path and not os.path.isdir(directory):
        raise UsageError(f"{option} {path}: there is no directory {directory}")
    if os.path.isdir(path):
        raise UsageError(f"{option} {path}: it is a directory", hint="name a file in it")


def state_directory() -> str:
    from netlab.kernel.enter import STATE as usual

    return os.environ.get(STATE) or usual


def renderer(as_json: bool) -> Renderer:
    if as_json:
        from netlab.render.json import JsonRenderer

        return JsonRenderer(sys.stdout, sys.stderr)
    from netlab.render.text import TextRenderer

    return TextRenderer(sys.stdout, sys.stderr)


def lab_name(lab_or_file: str) -> str:
    """A lab goes by its name, or by its file: the one it is up from, else what the file says.

    Raises LabNotFound for a file that no lab is up from.
    """
    if "/" in lab_or_file or lab_or_file.endswith((".yaml", ".yml")):
        return _lab_of(lab_or_file)
    if lab_or_file in ("", ".", ".."):
        no_such_lab(repr(lab_or_file))
    return lab_or_file


def _lab_of(file: str) -> str:
    from netlab.lab import glance

    path = os.path.realpath(file)
    for lab in state.labs(state_directory()):
        found = None
        with suppress(StateRefused):  # what cannot be read is another lab's trouble
            raw = state.read_journal(state_directory(), lab)
            found = glance.summary_of(raw) if raw else None
        if found and os.path.realpath(found[0].file) == path:
            return lab
    if not os.path.isfile(file):
        raise LabNotFound(f"no lab is up from {file}", hint=WHICH_ARE)
    from netlab.cli.work import read

    return read(file).wanted.lab


def identity_of(lab: str, node: str) -> int:
    """By which a node's namespace is known to be the lab's; see ``netlab.kernel.identity``.

    Raises LabNotFound.
    """
    return identities_of(lab, [node])[node]


def identities_of(lab: str, nodes: Iterable[str]) -> dict[str, int]:
    """By node. Raises LabNotFound."""
    raw = state.read_journal(state_directory(), lab)
    if raw is None:
        no_such_lab(lab)
    if not _is_of_this_boot(raw):  # another one's identities mean others now
        no_such_lab(lab)
    return {node: _identity_in(raw, lab, node) for node in nodes}


def _identity_in(raw: bytes, lab: str, node: str) -> int:
    mark = f'"{lab}.{node}":'.encode()
    at = raw.rfind(mark)
    if at < 0:
        sentence = f"lab {lab} has no node {node}{_meant(node, nodes_of(lab))}"
        raise LabNotFound(sentence, hint=f"`netlab show {lab}` tells which it has")
    start = at + len(mark)
    return int(raw[start : start + 40].lstrip().split(b",")[0].split(b"}")[0])


def nodes_of(lab: str) -> list[str]:
    """Of a lab that is up or half-built, in the file's order. Raises LabNotFound."""
    from netlab.lab import glance, journal

    raw = state.read_journal(state_directory(), lab)
    found = glance.summary_of(raw) if raw else None
    if found is None or raw is None:
        no_such_lab(lab)
    if found[1] is not None:
        return list(found[1].nodes)
    whole = journal.read(raw)
    held = whole.inventory.values() if whole else ()
    return [r.ns.partition(".")[2] for r in held if r.key[0] == "namespace"]


def no_such_lab(lab: str) -> NoReturn:
    raw = state.read_journal(state_directory(), lab)
    if raw and not _is_of_this_boot(raw):
        raise LabNotFound(f"no lab {lab} is up: {state.ANOTHER_BOOT}", hint="`netlab gc` sweeps it")
    others = [name for name in state.labs(state_directory()) if name != lab]
    raise LabNotFound(f"no lab {lab} is up{_meant(lab, others)}", hint=WHICH_ARE)


def _is_of_this_boot(journal: bytes) -> bool:
    """Its first line says."""
    from netlab.kernel.identity import boot

    return boot().encode() in journal[: journal.find(b"\n")]


def _meant(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else ""
