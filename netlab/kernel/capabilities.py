"""What root may do here: in a container it may lack some of it (capabilities(7))."""

from __future__ import annotations

NEEDED = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""By their numbers in linux/capability.h."""


def lacking() -> tuple[str, ...]:
    """Those that this process needs and has not."""
    with open("/proc/self/status") as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    return tuple(name for name, bit in NEEDED.items() if not held >> bit & 1)
