"""A namespace of the same name, and even of the same inode, is not the one that netlab made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.kernel import identity, libc
from netlab.kernel.worker import Worker
from tests.live.conftest import Write
from tests.live.world import done, inside, netlab, tool

TRIES = 50


@pytest.fixture(params=["by its number", "by going there"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a namespace is known: before Linux 6.18 none tells its number."""
    if request.param == "by going there":
        monkeypatch.setattr(identity, "_numbers_are_cookies", lambda: False)


def twin_of(ns: str) -> bool:
    """Delete it by hand and make another one; whether the kernel gave it the same inode."""
    wanted = os.stat(f"/run/netns/{ns}").st_ino
    for _ in range(TRIES):
        tool("ip", "netns", "del", ns)
        tool("ip", "netns", "add", ns)
        if os.stat(f"/run/netns/{ns}").st_ino == wanted:
            return True
    return False


def test_what_is_told_of_a_file_is_what_is_found_there() -> None:
    def seen() -> list[tuple[bool, bool | None]]:
        fd = worker.unshare()
        told = identity.of_here(fd)
        found = [(identity.is_here(t), identity.is_there(fd, t)) for t in (told, told + (1 << 32))]
        os.close(fd)
        return found

    worker = Worker()
    found = worker.call(seen)
    worker.close()
    assert [here for here, _ in found] == [True, False]
    assert all(there in (here, None) for here, there in found)


@pytest.mark.usefixtures("way")
def test_two_namespaces_of_one_inode_have_two_cookies() -> None:
    def seen() -> tuple[int, int]:
        fd = worker.unshare()
        try:
            return os.fstat(fd).st_ino, identity.of_here(fd)
        finally:
            os.close(fd)

    worker = Worker()
    found = [worker.call(seen) for _ in range(TRIES)]
    worker.close()
    assert all(identity.inode(told) == inode for inode, told in found)
    assert len({told for _, told in found}) == (TRIES if libc.netns_cookie() else len(found))


@pytest.mark.usefixtures("way")
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
