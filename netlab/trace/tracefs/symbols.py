"""What the kernel calls the places in its code (/proc/kallsyms)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

KALLSYMS = "/proc/kallsyms"


def obstacle() -> str:
    """Why the kernel does not tell where its functions lie; "" where it does."""
    try:
        with open(KALLSYMS) as lines:
            for line in lines:
                if int(line.split()[0], 16):
                    return ""
    except OSError as problem:
        return f"{KALLSYMS}: {problem.strerror} (CONFIG_KALLSYMS)"
    return f"{KALLSYMS} hides addresses (sysctl kernel.kptr_restrict, CAP_SYSLOG)"


def names(addresses: Iterable[int], file: str = "") -> dict[int, str]:
    """``tcp_v4_rcv+0x91`` by address; nothing where there is an obstacle."""
    wanted = sorted(set(addresses))
    best = dict.fromkeys(wanted, (0, ""))
    with suppress(OSError), open(file or KALLSYMS) as lines:
        for line in lines:
            text, kind, name, *_ = line.split()
            if kind not in "tTwW":
                continue
            start = int(text, 16)
            for address in wanted:
                if best[address][0] < start <= address:
                    best[address] = start, name
    return {a: f"{name}+{a - start:#x}" for a, (start, name) in best.items() if start}
