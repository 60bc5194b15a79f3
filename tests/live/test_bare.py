"""A machine that lacks what netlab stands on: one sentence says what, and nothing is touched."""

from __future__ import annotations

import subprocess

import pytest

from tests.live.conftest import Write
from tests.live.life import nothing_of
from tests.live.world import NETLAB, ROOT, Said

TEXT = "nodes: {a: , b: }\nlinks: [[a, b]]\n"


def bare(words: list[str], *command: object) -> Said:
    """A command of netlab, started by another program."""
    whole = [*words, *NETLAB, *map(str, command)]
    ended = subprocess.run(whole, capture_output=True, text=True, cwd=ROOT, timeout=60)
    return Said(ended.returncode, ended.stdout, ended.stderr)


WITHOUT_PROC = ["unshare", "--mount", "sh", "-c", 'umount -l /proc && exec "$0" "$@"']
NO_PROC = "/proc is not mounted, or is not Linux's\n  mount -t proc proc /proc\n"


@pytest.mark.parametrize("words", ["up {}", "doctor", "doctor {}", "ls", "gc"])
def test_without_proc_nothing_begins(write: Write, lab: str, words: str) -> None:
    command = words.format(write(TEXT)).split()
    assert bare(WITHOUT_PROC, *command) == Said(3, "", NO_PROC)
    assert nothing_of(lab)


CAPABILITIES = {
    "-sys_admin": "CAP_SYS_ADMIN",
    "-net_admin": "CAP_NET_ADMIN",
    "-all": "CAP_NET_ADMIN CAP_SYS_ADMIN",
}


@pytest.mark.parametrize("dropped", CAPABILITIES)
def test_root_without_a_capability_is_told_which(write: Write, lab: str, dropped: str) -> None:
    file = write(TEXT)
    names = CAPABILITIES[dropped].split()
    words = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    ways = " ".join(f"--cap-add {name}" for name in names)
    why = f"root has no {' and no '.join(names)} here"
    told = f"{why}\n  a container needs --privileged or {ways}\n"
    assert bare(words, "up", file) == Said(3, "", told)
    assert nothing_of(lab)
    said = bare(words, "doctor", file)
    assert said.code == 3
    line = f"no  root     making network namespaces  {' '.join(names)}  (Operation not permitted)"
    assert line in said.out.splitlines()
