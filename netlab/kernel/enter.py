"""How a program is started in a node; nothing else decides that.

A node's program has the node's network, host name, /sys, /etc/hosts and files, in a mount
namespace of its own that ends with it. It keeps the caller's working directory, environment,
terminal and open files. What is known of a node lies in the state directory::

    <state>/<lab>/hosts              the /etc/hosts of all nodes
    <state>/<lab>/nodes/<node>.json  {"hosts": bool, "resolv": text, "env": [[key, value] …],
                                      "files": [[path, text, mode] …]}; absent where all is usual

Imports are few and late: starting a program takes hardly longer than starting Python.
"""

from __future__ import annotations

import os
import sys

from netlab.kernel import libc
from netlab.kernel.identity import inode, is_here

TYPE_CHECKING = False
if TYPE_CHECKING:  # see netlab.kernel.view
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn, TypeAlias

    from netlab.kernel.view import File

    Write: TypeAlias = Callable[[int, bytes], object]
    """Takes whole lines, for file descriptor 1 or 2."""

STATE = "/run/netlab"
NETNS = "/run/netns"

NO_RESOLVER = "# this lab has no resolver: names come from /etc/hosts\n"

KEPT_OUTPUT = 64 * 1024

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def enter(
    lab: str, node: str, identity: int | None, state: str = STATE, netns_dir: str = NETNS
) -> dict[str, str]:
    """Move this process, which must have one thread, into the node; the environment there.

    ``identity`` is the namespace's own number (``netlab.kernel.identity``): whose it is.
    """
    return _enter(node, identity, f"{state}/{lab}", f"{netns_dir}/{lab}.{node}")


def exec_command(
    lab: str,
    node: str,
    identity: int | None,
    argv: Sequence[str],
    state: str = STATE,
    netns_dir: str = NETNS,
) -> NoReturn:
    """Become a program in the node: its exit code, signals and terminal are its own."""
    _become(node, argv, enter(lab, node, identity, state, netns_dir))


def exec_shell(
    lab: str, node: str, identity: int | None, state: str = STATE, netns_dir: str = NETNS
) -> NoReturn:
    """Become the caller's shell in the node."""
    shell = os.environ.get("SHELL", "")
    usable = os.path.isabs(shell) and os.access(shell, os.X_OK)
    exec_command(lab, node, identity, [shell if usable else "/bin/sh", "-i"], state, netns_dir)


def run_line(
    lab_dir: str,
    netns_path: str,
    node: str,
    command: str,
    should_stop: Callable[[], bool],
    identity: int | None = None,
) -> tuple[int, str]:
    """Run a shell line in the node and wait: its exit code, and the end of what it said.

    When ``should_stop`` says so, the line is killed with all that it started.
    """
    from netlab.kernel import children

    said = bytearray()

    def keep(data: bytes) -> None:
        said.extend(data)
        del said[:-KEPT_OUTPUT]

    def prepare() -> dict[str, str]:
        return _enter(node, identity, lab_dir, netns_path)

    child = children.start(lambda: _into(node, ["/bin/sh", "-c", command], prepare), both=keep)
    codes = children.attend({node: lambda: child}, should_stop)
    return codes[node], said.decode(errors="replace")


def run_many(
    lab: str,
    identities: Mapping[str, int | None],
    argv: Sequence[str],
    write: Write | None = None,
    state: str = STATE,
    netns_dir: str = NETNS,
) -> dict[str, int]:
    """Run a program in several nodes at once: the exit code of each, a signal as 128 + number.

    Lines come as they are said, each behind the name of its node. SIGINT and SIGTERM are the
    programs' to answer.
    """
    from netlab.kernel import children

    put = write or _write_all
    width = max(map(len, identities), default=0)

    def starter(node: str, identity: int | None) -> Callable[[], children.Child]:
        label = f"{node:<{width}} | ".encode()

        def prepare() -> dict[str, str]:
            return enter(lab, node, identity, state, netns_dir)

        return lambda: children.start(
            lambda: _into(node, argv, prepare),
            out=children.Lines(lambda line: put(1, label + line)),
            err=children.Lines(lambda line: put(2, label + line)),
        )

    starts = {node: starter(node, told) for node, told in identities.items()}
    with children.forwarded_signals() as group:
        return children.attend(starts, lambda: False, group)


def _enter(node: str, identity: int | None, lab_dir: str, netns_path: str) -> dict[str, str]:
    lab = os.path.basename(lab_dir)
    entry = _entry(f"{lab_dir}/nodes/{node}.json")
    hosts = _text(f"{lab_dir}/hosts") if entry["hosts"] else None
    namespace = _open_namespace(lab, node, identity, netns_path)
    try:
        libc.setns(namespace, libc.CLONE_NEWNET)
        if identity and not is_here(identity):
            _refuse_foreign(lab, node, netns_path)
        _see(node, _files(hosts, entry), lab_dir)
    except OSError as refusal:
        raise _told(node, refusal) from refusal
    finally:
        os.close(namespace)
    told = {"NETLAB_LAB": lab, "NETLAB_NODE": node}
    return {**callers_environment(), **dict(entry["env"]), **told}


def callers_environment() -> dict[str, str]:
    """Without the LC_CTYPE that Python gives itself where the locale is C (PEP 538)."""
    environment = dict(os.environ)
    with open("/proc/self/environ", "rb") as file:
        if b"\0LC_CTYPE=" not in b"\0" + file.read():
            environment.pop("LC_CTYPE", None)
    return environment


def _see(node: str, files: list[File], lab_dir: str) -> None:
    """Host name, /sys and files as the node has them, for this process alone."""
    from netlab.kernel import view

    directory, umask = _working_directory(), os.umask(0o022)
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWUTS)
    # slave: what the machine mounts from now on is seen here, and never the other way round
    libc.mount("", "/", flags=libc.MS_SLAVE | libc.MS_REC)
    libc.sethostname(node)
    view.fresh_sysfs()
    view.lay_files(files, lab_dir)
    os.umask(umask)
    if directory:
        os.chdir(directory)  # the same words, in the new tree


def _open_namespace(lab: str, node: str, identity: int | None, path: str) -> int:
    try:
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as refusal:
        from netlab.errors import LabNotFound

        raise LabNotFound(f"lab {lab} has no node {node} up: {path} is not there") from refusal
    if identity is None or os.fstat(namespace).st_ino == inode(identity):
        return namespace
    os.close(namespace)
    _refuse_foreign(lab, node, path)


def _refuse_foreign(lab: str, node: str, path: str) -> NoReturn:
    from netlab.errors import StateRefused

    raise StateRefused(
        f"{path} is not the namespace that netlab made for {node}",
        hint=f"netlab down {lab}, then up again",
    )


def _entry(path: str) -> dict[str, Any]:
    usual = {"hosts": True, "resolv": "", "env": (), "files": ()}
    text = _text(path)
    if text is None:
        return usual
    import json

    return {**usual, **json.loads(text)}


def _files(hosts: str | None, entry: dict[str, Any]) -> list[File]:
    """The node's files; what it says itself of /etc/hosts or /etc/resolv.conf wins."""
    files: dict[str, File] = {}
    if hosts is not None:
        files["/etc/hosts"] = ("/etc/hosts", hosts, 0o644)
    resolv = entry["resolv"]
    if resolv or os.path.exists("/etc/resolv.conf"):
        files["/etc/resolv.conf"] = ("/etc/resolv.conf", resolv or NO_RESOLVER, 0o644)
    for path, text, mode in entry["files"]:
        files[path] = (path, text, mode)
    return list(files.values())


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted under the caller
        return ""


def _told(node: str, refusal: OSError) -> Exception:
    from errno import EACCES, EPERM

    from netlab.errors import KernelRefused, MachineLacks

    said = refusal.strerror or str(refusal)
    what = f"{node} cannot be entered: {said}"
    if refusal.filename:
        what += f" ({refusal.filename})"
    if refusal.errno in (EPERM, EACCES) and os.geteuid():
        return MachineLacks(what, hint="run it with sudo")
    return KernelRefused(what, errno=refusal.errno or 0, said=said)


def _into(node: str, argv: Sequence[str], prepare: Callable[[], dict[str, str]]) -> NoReturn:
    """In a fresh child: there is nobody above to tell a failure to, so it is told here."""
    from netlab.errors import NetlabError

    try:
        environment = prepare()
    except NetlabError as failure:
        _write_all(2, f"netlab: {failure}\n".encode())
        os._exit(failure.exit_code)
    _become(node, argv, environment)


def _become(node: str, argv: Sequence[str], environment: dict[str, str]) -> NoReturn:
    libc.default_signals()
    sys.stdout.flush()
    try:
        os.execvpe(argv[0], list(argv), environment)
    except (FileNotFoundError, NotADirectoryError) as refusal:
        code, why = _NOT_FOUND, refusal.strerror
        if "/" not in argv[0]:
            why = "command not found"
        elif os.path.exists(argv[0]):
            why = "the interpreter of its first line is missing"
    except PermissionError as refusal:
        code, why = _NOT_EXECUTABLE, refusal.strerror
        if refusal.errno == 1:  # EPERM; EACCES is that of the file's mode (execve(2))
            why = f"{why}: it is to have a capability that root has not here (getcap(8))"
    except OSError as refusal:
        code, why = _NOT_EXECUTABLE, refusal.strerror
    _write_all(2, f"netlab: {node}: {argv[0]}: {why}\n".encode(errors="surrogateescape"))
    os._exit(code)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
