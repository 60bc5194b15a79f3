"""Every failure a user can meet.

NetlabError                exit 1    something the user asked for did not hold
├── UsageError             exit 2    the words on the command line make no sense
├── TopologyError          exit 2    the YAML says something impossible (one or many problems)
├── MachineLacks           exit 3    a privilege or a kernel feature is missing
├── StateRefused           exit 3    the state directory is not safe to use
├── KernelRefused          exit 4    the kernel declined a step
├── CommandFailed          exit 4    an ``exec:`` line of the topology ended with a non-zero code
├── LabNotFound            exit 5    no such lab, or no such node in it
├── LabBusy                exit 4    another netlab process is changing the lab
└── Interrupted            exit 130  SIGINT or SIGTERM; what was begun has been walked back
"""

from __future__ import annotations

import errno
from collections import namedtuple


class NetlabError(Exception):
    """A failure with a sentence for the user and, where one is known, a way out."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(NetlabError):
    exit_code = 2


# modules dataclasses and typing would take longer to load than a program takes to start
class Problem(namedtuple("Problem", "line column path message hint file", defaults=("", ""))):
    """One thing wrong in a topology: where, on which path, what, and what would be right."""

    line: int
    """Counted from 1; 0 where the file as a whole is meant."""
    column: int
    path: str
    message: str
    hint: str
    file: str
    """Where it is another one than the topology's own."""

    __slots__ = ()


class TopologyError(NetlabError):
    """All problems of one file, in the order of its lines."""

    exit_code = 2

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(self.sentences()))

    def sentences(self) -> list[str]:
        """``file:line:column  path: message; hint``, one a problem."""
        return [self._sentence(problem) for problem in self.problems]

    def _sentence(self, p: Problem) -> str:
        file = p.file or self.file
        where = f"{file}:{p.line}:{p.column}" if p.line else file
        path = f"  {p.path}: " if p.path else "  "
        return f"{where}{path}{p.message}" + (f"; {p.hint}" if p.hint else "")


class MachineLacks(NetlabError):
    exit_code = 3


class StateRefused(NetlabError):
    exit_code = 3


UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
"""What a disk says on which nothing more can be written down."""


def unwritable(state: str, problem: OSError) -> StateRefused:
    """With the notes of what it stands for."""
    refusal = StateRefused(
        f"{state} cannot be written to: {problem.strerror}",
        hint="make room there, or set NETLAB_STATE to another directory",
    )
    for note in getattr(problem, "__notes__", ()):
        refusal.add_note(note)
    return refusal


class KernelRefused(NetlabError):
    """The kernel said no.

    ``errno`` is the kernel's number (0 where there is none), ``said`` its own words
    (the extended acknowledgement, else strerror), ``token`` what ``Kernel.begin`` was last told.
    """

    exit_code = 4

    def __init__(
        self, message: str, *, errno: int = 0, said: str = "", token: object = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno
        self.said = said
        self.token = token


class CommandFailed(NetlabError):
    exit_code = 4
    token: object = None


class LabNotFound(NetlabError):
    exit_code = 5


class LabBusy(NetlabError):
    exit_code = 4


class Interrupted(NetlabError):
    exit_code = 130
