"""Answers about the kernel's types, kept in a file by the kernel's build id.

A first trace reads all types, which takes a fifth of a second; the next one reads a page of JSON.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from netlab.trace.bpf import btf
from netlab.trace.bpf.btf import NoSuchType, Way

NOTES = "/sys/kernel/notes"
_GNU_BUILD_ID = 3

Answer: TypeAlias = dict[str, Any]
"""What "is", or the words for what is "not"."""


class Types:
    """As ``Btf`` answers; what does not exist is remembered as well."""

    def __init__(self, directory: str | None = None) -> None:
        """``directory`` is where answers are kept; none are where it is None."""
        self._file = f"{directory}/btf-{build_id()}.json" if directory else ""
        self._modules = btf.modules()
        self._known = _read(self._file, self._modules)
        self._is_new = False
        self._opened: dict[str, btf.Btf] = {}
        self._files: dict[str, bytes] = {}

    def way(self, path: str, tracepoint: str = "") -> Way:
        """See ``Btf.way``; a module's types are those beside its tracepoint. Raises NoSuchType."""
        offsets, size = self._ask(f"way {path}", lambda: self._way(path, tracepoint))
        return Way(tuple(offsets), size)

    def arguments(self, tracepoint: str) -> tuple[str, ...]:
        """See ``Btf.arguments``. Raises NoSuchType."""
        return tuple(self._ask(f"arguments {tracepoint}", lambda: self._arguments(tracepoint)))

    def names(self, enum: str) -> dict[int, str]:
        """See ``Btf.names``. Raises NoSuchType."""
        found = self._ask(f"enum {enum}", lambda: self._kernel().names(enum))
        return {int(number): name for number, name in found.items()}

    def keep(self) -> None:
        """Write down what is new. Where nothing can be written, the next one asks again."""
        if not (self._is_new and self._file):
            return
        with suppress(OSError):
            os.makedirs(os.path.dirname(self._file), mode=0o755, exist_ok=True)
            with open(f"{self._file}.{os.getpid()}", "w") as file:
                json.dump({"modules": self._modules, "answers": self._known}, file)
            os.replace(file.name, self._file)
        self._is_new = False

    def _ask(self, question: str, find: Callable[[], Any]) -> Any:
        if question not in self._known:
            self._is_new = True
            try:
                self._known[question] = {"is": find()}
            except NoSuchType as answer:
                self._known[question] = {"not": str(answer)}
        answered = self._known[question]
        if "not" in answered:
            raise NoSuchType(answered["not"])
        return answered["is"]

    def _way(self, path: str, tracepoint: str) -> tuple[tuple[int, ...], int]:
        try:
            found = self._kernel().way(path)
        except NoSuchType:
            module = btf.module_of(tracepoint, self._read) if tracepoint else None
            if module in (None, btf.VMLINUX):
                raise
            found = self._module(str(module)).way(path)
        return found.offsets, found.size

    def _arguments(self, tracepoint: str) -> list[str]:
        module = btf.module_of(tracepoint, self._read)
        if module is None:
            raise NoSuchType(f"there is no tracepoint {tracepoint}")
        return list(self._module(module).arguments(tracepoint))

    def _kernel(self) -> btf.Btf:
        return self._module(btf.VMLINUX)

    def _module(self, name: str) -> btf.Btf:
        if name not in self._opened:
            base = None if name == btf.VMLINUX else self._kernel()
            self._opened[name] = btf.Btf(self._read(name), base)
        return self._opened[name]

    def _read(self, name: str) -> bytes:
        """Each file once."""
        if name not in self._files:
            self._files[name] = btf.read(name)
        return self._files[name]


def build_id() -> str:
    """Of the kernel's image (elf(5), NT_GNU_BUILD_ID); where it has none, its version."""
    with suppress(OSError, struct.error), open(NOTES, "rb") as file:
        data, at = file.read(), 0
        while at < len(data):
            name, length, kind = struct.unpack_from("=III", data, at)
            start = at + 12 + (name + 3 & ~3)
            if kind == _GNU_BUILD_ID and data[at + 12 : at + 16] == b"GNU\0":
                return data[start : start + length].hex()
            at = start + (length + 3 & ~3)
    said = os.uname()
    return "".join(c if c.isalnum() else "-" for c in f"{said.release}-{said.version}")


def _read(file: str, modules: Sequence[str]) -> dict[str, Answer]:
    """Nothing where there is none, or none that can be trusted.

    What there was not may have come with a module since.
    """
    try:
        with open(file) as opened:
            mine = os.fstat(opened.fileno()).st_uid in (0, os.geteuid())
            found = json.load(opened)
        kept, answers = found["modules"], found["answers"]
        known = {q: a for q, a in answers.items() if "is" in a or "not" in a}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    if not mine:
        return {}
    return known if kept == modules else {q: a for q, a in known.items() if "is" in a}
