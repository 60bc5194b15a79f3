"""Two namespaces and a kernel to work in them, for tests of its verbs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from netlab.errors import KernelRefused
from netlab.kernel.acts import NAMES
from netlab.kernel.enter import STATE
from netlab.kernel.machine import LinuxMachine
from netlab.kernel.port import Kernel
from netlab.lab.state import held
from tests.live.world import tool

MAC = "02:00:00:00:00:01"


@dataclass(frozen=True)
class Lab:
    name: str
    kernel: Kernel
    inodes: Mapping[str, int]

    @property
    def a(self) -> str:
        return f"{self.name}.a"

    @property
    def b(self) -> str:
        return f"{self.name}.b"

    def refusal(self) -> tuple[object, str, str, str]:
        """What ``flush`` is refused with: token, the number's name, the kernel's words, hint."""
        with pytest.raises(KernelRefused) as failure:
            self.kernel.flush()
        said = failure.value
        return said.token, NAMES[said.errno], said.said, said.hint


@pytest.fixture(name="lab")
def fresh_lab(prefix: str, host_unchanged: None) -> Iterator[Lab]:
    machine = LinuxMachine()
    spaces = [f"{prefix}.a", f"{prefix}.b"]
    with held(STATE, prefix, create=True), machine.kernel(prefix, lambda: False) as kernel:
        inodes = kernel.make_namespaces(spaces)
        for ns in spaces:
            kernel.add_namespace(ns)
        kernel.flush()
        try:
            yield Lab(prefix, kernel, inodes)
        finally:
            for ns in spaces:
                kernel.del_namespace(ns)
            kernel.flush()
            shutil.rmtree(f"{STATE}/{prefix}")
    machine.tidy()


def bridge(ns: str, *words: str) -> Any:
    """``bridge -json`` in a namespace."""
    return json.loads(tool("bridge", "-n", ns, "-json", "-details", *words) or "[]")
