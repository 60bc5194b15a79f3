"""Which softirq each CPU serves, as programs at the beginning and the end of each note it.

The kernel counts that itself (``__preempt_count``), but lets programs find the place only where its
table of symbols has data in it (CONFIG_KALLSYMS_ALL).
"""

from __future__ import annotations

from netlab.trace.anatomy import SOFTIRQ
from netlab.trace.bpf.assembler import FP, R0, R1, R2, R3, R6, R9, Code
from netlab.trace.bpf.events import Event, Field, Gate
from netlab.trace.bpf.session import Session
from netlab.trace.bpf_gate import CPUS, KEY
from netlab.trace.bpf_memory import slots

ENTERED, LEFT = "softirq_entry", "softirq_exit"
FIELD = Field(SOFTIRQ, f"={KEY}", 8)
"""Where a gate has passed, nobody needs that place of the stack any more."""


class Softirqs:
    """``is_noted``: whether this kernel tells when they begin and end."""

    def __init__(self, session: Session) -> None:
        """Raises BpfRefused."""
        self._served = slots(session, "netlab_softirqs", CPUS)
        numbers = [session.load(Event(name, ""), self._note(name)) for name in (ENTERED, LEFT)]
        self.is_noted = None not in numbers
        for number in numbers if self.is_noted else ():
            assert number is not None
            session.attach(number)

    def told(self, gate: Gate) -> Gate:
        """The same gate, which leaves what ``FIELD`` tells."""

        def with_softirq(code: Code, event: Event) -> None:
            gate(code, event)
            self._find(code)
            code.load(8, R1, R3)
            code.store(8, FP, KEY, R1)

        return with_softirq

    def _note(self, name: str) -> Gate:
        """Tells nothing, but what the CPU serves is another from now on."""

        def note(code: Code, event: Event) -> None:
            self._find(code)
            if name == ENTERED:
                code.load(8, R2, R6)
                code.mask(R2, 0xFF)
                code.add(R2, 1)
                code.store(8, R3, 0, R2)
            else:
                code.store(8, R3, 0, 0)
            code.jump_if(R9, "==", 0, "out")

        return note

    def _find(self, code: Code) -> None:
        """R3 is the address of this CPU's place then."""
        code.call("get_smp_processor_id")
        code.set(R1, R0)
        self._served.find(code)
