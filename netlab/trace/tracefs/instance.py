"""A trace buffer of one's own: events switched on, read page by page, and taken away.

The file system is mounted for this process alone and nowhere in the tree (fsmount(2)). An instance
outlives its process, which holds a lock on it: one that nobody holds is swept. A process's number
would not tell, since all containers of a machine see the same instances, and not each other.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress

from netlab.trace.bpf import pids
from netlab.trace.tracefs import formats, pages
from netlab.trace.tracefs.formats import Format, Head

PREFIX = "netlab-"
KIBIBYTES = 512
"""Of buffer for each CPU."""
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""System calls; the same numbers everywhere (Linux 5.2)."""
_CREATE, _CLOEXEC = 6, 1

_libc = ctypes.CDLL(None, use_errno=True)


def mounted() -> int:
    """A descriptor of the file system's root. Raises OSError."""
    opened = _called(_FSOPEN, b"tracefs", _CLOEXEC)
    try:
        _called(_FSCONFIG, opened, _CREATE, None, None, 0)
        return _called(_FSMOUNT, opened, _CLOEXEC, 0)
    finally:
        os.close(opened)


def _called(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class Instance:
    """Events come in order of time within a CPU; ``read`` orders them over all."""

    def __init__(self, events: Sequence[str], filters: Mapping[str, str]) -> None:
        """``events``: as ``skb/kfree_skb``; ``filters``: of some of them. Raises OSError."""
        self._root = mounted()
        self._path = f"/proc/self/fd/{self._root}"
        self._name = f"{self._path}/instances/{PREFIX}{secrets.token_hex(6)}"
        self._files: list[int] = []
        self._held = -1
        self._formats: dict[int, Format] = {}
        self.missing: list[str] = []
        """Events that this kernel does not have."""
        self.lost = 0
        """Records that came too fast; where nobody counted, at least so many."""
        try:
            with _locked(f"{self._path}/instances"):
                _swept(self._path)
                os.mkdir(self._name)
                self._held = _lock(self._name, fcntl.LOCK_EX)
        except BaseException:
            os.close(self._root)
            raise
        try:
            self._set_up(events, filters)
        except BaseException:
            self.close()
            raise

    def _set_up(self, events: Sequence[str], filters: Mapping[str, str]) -> None:
        self._put("tracing_on", "0")
        self._put("trace_clock", "mono")
        self._put("buffer_size_kb", str(KIBIBYTES))
        self._header = pages.header_size(self._text("events/header_page"))
        self._page = self._page_size()
        for event in events:
            try:
                found = formats.parse(self._text(f"events/{event}/format"))
            except FileNotFoundError:
                self.missing.append(event)
                continue
            self._formats[found.number] = found
            if event in filters:
                self._put(f"events/{event}/filter", filters[event], self._name)
            self._put(f"events/{event}/enable", "1")
        for cpu in sorted(os.listdir(f"{self._name}/per_cpu")):
            raw = f"{self._name}/per_cpu/{cpu}/trace_pipe_raw"
            self._files.append(os.open(raw, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        self._put("tracing_on", "1")

    def _page_size(self) -> int:
        try:
            return int(self._text("buffer_subbuf_size_kb", self._name)) * 1024
        except FileNotFoundError:  # before Linux 6.8 a page is a page
            return os.sysconf("SC_PAGE_SIZE")

    def _put(self, name: str, text: str, where: str = "") -> None:
        with open(f"{where or self._name}/{name}", "w") as file:
            file.write(text)

    def _text(self, name: str, where: str = "") -> str:
        with open(f"{where or self._path}/{name}") as file:
            return file.read()

    @property
    def files(self) -> Sequence[int]:
        """Readable where a page is full; what is less has to be asked for."""
        return self._files

    def read(self) -> list[tuple[int, Format, Head, bytes]]:
        """Time, format, head and bytes of whatever has come by now, in order of time."""
        found = [one for fd in self._files for page in self._pages(fd) for one in self._of(page)]
        return sorted(found, key=lambda one: one[0])

    def _pages(self, fd: int) -> Iterator[bytes]:
        while True:
            try:
                page = os.read(fd, self._page)
            except BlockingIOError:
                return
            if not page:
                return
            gone = pages.missed(page)
            self.lost += 1 if gone is None else gone
            yield page

    def _of(self, page: bytes) -> Iterator[tuple[int, Format, Head, bytes]]:
        for time, data in pages.records(page, self._header):
            if len(data) < formats.COMMON:
                continue
            told = formats.head(data)
            if told.number in self._formats:
                yield time, self._formats[told.number], told, data

    def writer(self) -> int:
        """The calling thread's number, as events have it: not that of its pid namespace."""
        self._put("trace_marker", "netlab")
        written = (page for fd in self._files for page in self._pages(fd))
        return next(
            formats.head(data).pid
            for page in written
            for _, data in pages.records(page, self._header)
            if len(data) >= formats.COMMON
        )

    def close(self) -> None:
        for fd in self._files:
            os.close(fd)
        self._files.clear()
        try:
            self._put("tracing_on", "0")
            self._put("events/enable", "0")
            os.rmdir(self._name)
        finally:
            if self._held >= 0:
                os.close(self._held)
            os.close(self._root)


def sweep() -> int:
    """Take away those of processes that are no more; how many there were. Raises OSError."""
    root = mounted()
    try:
        path = f"/proc/self/fd/{root}"
        with _locked(f"{path}/instances"):
            return _swept(path)
    finally:
        os.close(root)


def _swept(path: str) -> int:
    found = 0
    for name in os.listdir(f"{path}/instances"):
        where = f"{path}/instances/{name}"
        if name.startswith(PREFIX):
            with suppress(OSError), _locked(where, fcntl.LOCK_EX | fcntl.LOCK_NB):
                with open(f"{where}/events/enable", "w") as file:
                    file.write("0")
                os.rmdir(where)
                found += 1
    return found


@contextmanager
def _locked(directory: str, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    fd = _lock(directory, how)
    try:
        yield
    finally:
        os.close(fd)


def _lock(directory: str, how: int) -> int:
    """Until it is closed. Raises OSError where it is not waited for."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
    except OSError:
        os.close(fd)
        raise
    return fd


def own_number() -> int:
    """The calling thread's, as events have it. Raises OSError."""
    if pids.namespace() is None:
        return threading.get_native_id()
    with closing(Instance((), {})) as opened:
        return opened.writer()


def obstacle() -> str:
    """Why tracefs cannot be used here; "" where it can."""
    try:
        Instance((), {}).close()
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""
