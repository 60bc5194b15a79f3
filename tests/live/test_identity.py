"""A namespace of the same name, and even of the same inode, is not the one that netlab made."""

from __future__ import annotations

import os
from pathlib import Path

from netlab.kernel import identity, libc
from netlab.kernel.worker import Worker
from tests.live.conftest import Write
from tests.live.world import done, inside, netlab, tool

TRIES = 50


def twin_of(ns: str) -> bool:
    """Delete it by hand and make another one; whether the kernel gave it the same inode."""
    wanted = os.stat(f"/run/netns/{ns}").st_ino
    for _ in range(TRIES):
        tool("ip", "netns", "del", ns)
        tool("ip", "netns", "add", ns)
        if os.stat(f"/run/netns/{ns}").st_ino == wanted:
            return True
    return False


def test_two_namespaces_of_one_inode_have_two_cookies() -> None:
    def seen() -> tuple[int, int]:
        fd = worker.unshare()
        inode = os.fstat(fd).st_ino
        os.close(fd)
        return inode, identity.of_here(inode)

    worker = Worker()
    found = [worker.call(seen) for _ in range(TRIES)]
    worker.close()
    assert all(identity.inode(told) == inode for inode, told in found)
    assert len({told for _, told in found}) == (TRIES if libc.netns_cookie() else len(found))


def test_a_twin_is_left_alone(write: Write, lab: str) -> None:
    file = write("nodes: {a: , b: }\nlinks: [[a, b]]\n")
    done("up", file)
    ns = f"{lab}.a"
    same = twin_of(ns)
    cookie = tool("stat", "-c", "%i", f"/run/netns/{ns}")
    try:
        said = inside(lab, "a", "true")
        assert said.code == 3, said
        assert "is not the namespace that netlab made for a" in said.err
        assert "has been deleted" in netlab("show", lab, "a").out
        assert netlab("down", lab).code == 0
        assert Path(f"/run/netns/{ns}").exists(), f"same inode: {same}"
        assert tool("stat", "-c", "%i", f"/run/netns/{ns}") == cookie
    finally:
        tool("ip", "netns", "del", ns)
