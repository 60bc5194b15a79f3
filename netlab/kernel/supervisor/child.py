"""A process, started: in its control group, in its node, as its user, with its log."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from netlab.kernel import cgroups, enter, libc
from netlab.kernel.supervisor import record as records
from netlab.kernel.supervisor.record import MARK, Record

_DEFAULT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def start(lab: str, state: str, netns: str, group: str, record: Record) -> tuple[int, int]:
    """Its pid, and a pipe that says why it could not be started, or ends without a word."""
    lab_dir = f"{state}/{lab}"
    os.makedirs(records.directory(lab_dir, record.node), mode=0o755, exist_ok=True)
    log = records.path(lab_dir, record.node, record.name, "log")
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    if group:
        cgroups.make(group)
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        _become(lambda: _run(lab, state, netns, group, record, out), tell)
    os.close(tell)
    os.close(out)
    os.set_blocking(told, False)
    return pid, told


def _become(run: object, tell: int) -> NoReturn:
    from netlab.errors import NetlabError

    why = "it ended before it began"
    try:
        assert callable(run)
        run()
    except NetlabError as failure:
        why = str(failure)
    except OSError as failure:
        name = f"{failure.filename}: " if failure.filename else ""
        why = f"{name}{failure.strerror or failure}"
    except BaseException as failure:
        why = f"{type(failure).__name__}: {failure}"
    os.write(tell, why.encode(errors="replace"))
    os._exit(127)


def _run(lab: str, state: str, netns: str, group: str, record: Record, out: int) -> None:
    """Never comes back but by an exception."""
    os.setsid()
    if group:
        cgroups.join(group)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for number in _DEFAULT:
        signal.signal(number, signal.SIG_DFL)
    libc.default_signals()
    os.environ.clear()
    os.environ.update(records.environment(f"{state}/{lab}", record))
    spec = record.spec
    environment = {
        **enter.enter(lab, record.node, record.inode, state, netns),
        **dict(spec["env"]),
        MARK: record.name,
    }
    os.chdir(spec["cwd"])  # before: the topology's directory may be nobody else's
    if spec["user"]:
        environment = _as_user(spec["user"], environment)
    _execute(spec["argv"], environment)


def _as_user(user: str, environment: dict[str, str]) -> dict[str, str]:
    """A number needs no entry in /etc/passwd, and is its own group where it has none."""
    import pwd

    try:
        found = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if not user.isdigit():
            raise OSError(0, f"there is no user {user}") from None
        os.setgroups([])
        _be(int(user), int(user))
        return environment
    os.initgroups(found.pw_name, found.pw_gid)
    _be(found.pw_uid, found.pw_gid)
    who = {"USER": found.pw_name, "LOGNAME": found.pw_name, "HOME": found.pw_dir}
    return {**environment, **who}


def _be(user: int, group: int) -> None:
    os.fchown(1, user, group)  # daemons open /dev/stdout anew
    os.setgid(group)
    os.setuid(user)


def _execute(argv: list[str], environment: dict[str, str]) -> None:
    try:
        os.execvpe(argv[0], argv, environment)
    except FileNotFoundError:
        missing = "no such file, or no interpreter for it"
        why = missing if "/" in argv[0] else "command not found"
        raise OSError(2, why, argv[0]) from None
