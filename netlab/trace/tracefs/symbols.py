"""What the kernel calls the places in its code (/proc/kallsyms)."""

from __future__ import annotations

from collections.abc import Iterable

KALLSYMS = "/proc/kallsyms"


def names(addresses: Iterable[int], file: str = KALLSYMS) -> dict[int, str]:
    """``tcp_v4_rcv+0x91`` by address; nothing where addresses are hidden (kptr_restrict)."""
    wanted = sorted(set(addresses))
    best = dict.fromkeys(wanted, (0, ""))
    with open(file) as lines:
        for line in lines:
            text, kind, name, *_ = line.split()
            if kind not in "tTwW":
                continue
            start = int(text, 16)
            for address in wanted:
                if best[address][0] < start <= address:
                    best[address] = start, name
    return {a: f"{name}+{a - start:#x}" for a, (start, name) in best.items() if start}
