"""What root may do here: in a container it may lack some of it (capabilities(7))."""

from __future__ import annotations

NEEDED = {"CAP_KILL": 5, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21}
"""By their numbers in linux/capability.h.

Without CAP_SYS_PTRACE a process of a node that runs as another user is not seen, and without
CAP_KILL it is not ended: `down` would leave it behind.
"""

ROOTLESS = "a user namespace (`unshare --map-root-user …`, see docs/ci.md)"

OWN_RUN = "a user namespace needs a /run of its own: mount -t tmpfs tmpfs /run"
"""The way out where the directories of the machine's root are in the way."""

NO_RAW = "root needs CAP_NET_RAW; a container needs --cap-add CAP_NET_RAW"

_ALL_USERS = ["0", "0", str(2**32 - 1)]
"""/proc/self/uid_map where no user namespace is in between (user_namespaces(7))."""


def lacking() -> tuple[str, ...]:
    """Those that this process needs and has not."""
    with open("/proc/self/status") as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    return tuple(name for name, bit in NEEDED.items() if not held >> bit & 1)


def is_root_of_few() -> bool:
    """Whether this is a user namespace that the machine's own root has no place in."""
    with open("/proc/self/uid_map") as file:
        return file.readline().split() != _ALL_USERS
