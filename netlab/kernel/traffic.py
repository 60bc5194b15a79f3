"""What the devices of a namespace have carried, and what of it they lost (/proc/net/dev)."""

from __future__ import annotations

from typing import NamedTuple


class Traffic(NamedTuple):
    """Of one device, since it was made; ``rx`` came in, ``tx`` went out."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0

    def since(self, earlier: Traffic) -> Traffic:
        """All of it, where the device was made anew in between: it began with nothing."""
        if any(now < then for now, then in zip(self, earlier, strict=True)):
            return self
        return Traffic(*(now - then for now, then in zip(self, earlier, strict=True)))


def traffic() -> dict[str, Traffic]:
    """By device, in the namespace that the thread stands in. Raises OSError."""
    with open("/proc/thread-self/net/dev") as file:
        lines = file.read().splitlines()[2:]
    return {name: _read(rest) for name, _, rest in (line.strip().partition(":") for line in lines)}


def _read(text: str) -> Traffic:
    """bytes, packets, errs, drop, four more of what came; then the same of what went."""
    n = [int(word) for word in text.split()]
    return Traffic(n[1], n[0], n[2], n[3], n[9], n[8], n[10], n[11])
