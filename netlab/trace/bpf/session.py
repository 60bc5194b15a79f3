"""Programs loaded, attached, read and let go: all that belongs to one observation."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from netlab.trace.bpf import calls, events
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.calls import BpfRefused
from netlab.trace.bpf.events import Event, Gate, Head, Layout
from netlab.trace.bpf.ring import Ring
from netlab.trace.bpf.types import Types

RING = 1 << 20
"""Bytes; some 4,000 events."""


class Session:
    """Ends with the process, however that ends: nothing is pinned."""

    def __init__(self, types: Types, ring: int = RING) -> None:
        """Raises BpfRefused where the kernel does not let it."""
        self._types = types
        self._stack = ExitStack()
        self.missing: list[str] = []
        """What this kernel does not have of what was declared, in words."""
        self._layouts: list[Layout] = []
        self._programs: list[int] = []
        self._ring = Ring(ring, "netlab")
        self._stack.callback(self._ring.close)
        try:
            lost = self.map(calls.PERCPU_ARRAY, 4, 8, 1, "netlab_lost")
            format_ = calls.constant(events.FORMAT, "netlab_format")
            self._stack.callback(os.close, format_)
            self._maps = events.Maps(self._ring.fd, lost, format_)
        except BaseException:
            self.close()
            raise

    @property
    def fd(self) -> int:
        """Readable when there are records."""
        return self._ring.fd

    def map(self, kind: int, key: int, value: int, entries: int, name: str) -> int:
        """See ``calls.create_map``; it is closed with the session."""
        fd = calls.create_map(kind, key, value, entries, name)
        self._stack.callback(os.close, fd)
        return fd

    def load(self, event: Event, gate: Gate, answer: int = 0) -> int | None:
        """A program's number, by which its records are told; None where there is no such event.

        Raises BpfRefused, with the verifier's log.
        """
        try:
            layout, known, subject = events.lay_out(event, self._types)
        except NoSuchType as reason:
            self.missing.append(str(reason))
            return None
        self.missing += layout.missing
        number = len(self._layouts)
        code = events.program(known, subject, layout, number, gate, self._maps, answer)
        name = f"netlab_{event.name or 'hook'}"
        if event.name:
            program = calls.load_program(calls.RAW_TRACEPOINT, code, name)
        else:
            program = calls.load_program(calls.NETFILTER, code, name, calls.ATTACH_NETFILTER)
        self._stack.callback(os.close, program)
        self._layouts.append(layout)
        self._programs.append(program)
        return number

    def attach(self, number: int) -> None:
        """To its tracepoint. Raises BpfRefused."""
        name = self._layouts[number].event.name
        self._stack.callback(os.close, calls.attach_tracepoint(name, self._programs[number]))

    def attach_hook(self, number: int, family: int, hook: int, priority: int) -> None:
        """In the namespace that the calling thread stands in. Raises BpfRefused."""
        program = self._programs[number]
        link = calls.attach_netfilter(program, family, hook, priority)
        self._stack.callback(os.close, link)

    def layout(self, number: int) -> Layout:
        return self._layouts[number]

    def records(self) -> Iterator[tuple[Layout, Head, dict[str, int | bytes]]]:
        """Whatever has come by now, in order."""
        for record in self._ring.records():
            layout = self._layouts[events.number_of(record)]
            yield layout, *layout.read(record)

    def lost(self) -> int:
        """How many found no room in the ring."""
        cpus = _possible_cpus()
        counts = calls.look_up(self._maps.lost, b"\0" * 4, 8 * cpus)
        return sum(int.from_bytes(counts[8 * n : 8 * n + 8], sys.byteorder) for n in range(cpus))

    def close(self) -> None:
        self._stack.close()


def _possible_cpus() -> int:
    """As the kernel numbers them (Documentation/admin-guide/cputopology.rst): ``0-3``."""
    with open("/sys/devices/system/cpu/possible") as file:
        last: Sequence[str] = file.read().strip().replace(",", "-").split("-")
    return int(last[-1]) + 1


def obstacle() -> str:
    """Why BPF cannot be used here; "" where it can."""
    try:
        session = Session(Types())
    except BpfRefused as refusal:
        return str(refusal.strerror)
    with suppress(OSError):
        session.close()
    return ""
