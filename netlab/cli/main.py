"""The `netlab` command. What is asked often is answered before typer is even loaded."""

from __future__ import annotations

import gc
import os
import sys

from netlab.errors import NetlabError

TYPE_CHECKING = False
if TYPE_CHECKING:  # see netlab.errors
    from collections.abc import Collection


def main() -> None:
    gc.disable()  # a command ends before there is garbage; looking for it takes a tenth of its time
    _open_what_is_closed()
    os._exit(run(sys.argv[1:]))  # the kernel gives memory back at once, Python object by object


def run(argv: list[str]) -> int:
    """The exit code. Only a bug ends in a traceback."""
    try:
        try:
            return _told(argv)
        except KeyboardInterrupt:
            return 130
        finally:
            sys.stdout.flush()
    except OSError as problem:
        return _unsaid(problem)


def _told(argv: list[str]) -> int:
    try:
        return _run(argv)
    except NetlabError as failure:
        from netlab.cli.which import renderer

        renderer(_wants_json(argv)).failure(failure)
        return failure.exit_code


def installed_version() -> str:
    from importlib.metadata import version

    return version("netlab")


def _run(argv: list[str]) -> int:
    """The plain forms of what is asked often here, all else in typer's hands."""
    match argv:
        case ["exec", lab, *words] if _is_plain_exec(argv):
            from netlab.cli import enter

            return enter.run(lab, words, False)
        case []:
            return _run(["--help"])
        case ["--version"]:
            print(f"netlab {installed_version()}")  # noqa: T201
        case ["ls", *options] if _is_plain(argv, 0, 0):
            from netlab.cli import look

            look.labs("--json" in options)
        case ["show", *words] if _is_plain(argv, 1, 2):
            from netlab.cli import look

            lab, *node = _without(words, "--json")
            look.show(lab, node[0] if node else None, "--json" in words)
        case ["up", *words] if _is_plain(argv, 1, 1):
            from netlab.cli import up

            up.up(_without(words, "--json")[0], "--json" in words)
        case ["down", *words] if _is_plain(argv, 1, 1, {"--json", "--wait"}):
            from netlab.cli import down

            lab = _without(words, "--json", "--wait")[0]
            return down.one(lab, "--wait" in words, "--json" in words)
        case _:
            from netlab.cli.app import run as whole

            return whole(argv)
    return 0


def _is_plain_exec(argv: list[str]) -> bool:
    """``exec LAB NODE… -- COMMAND``: no option that typer would have to read."""
    before = _before_dashes(argv)
    options = any(word.startswith("-") for word in before)
    return len(before) > 2 and before != argv and not options and not _is_set(argv[0])


def _without(words: list[str], *flags: str) -> list[str]:
    return [word for word in words if word not in flags]


def _is_plain(
    argv: list[str], least: int, most: int, flags: Collection[str] = ("--json",)
) -> bool:
    """So many words, and no option but these."""
    words = _without(argv[1:], *flags)
    options = any(word.startswith("-") for word in words)
    return least <= len(words) <= most and not options and not _is_set(argv[0])


def _is_set(command: str) -> bool:
    """Whether a variable stands for an option of the command."""
    return any(name.startswith(f"NETLAB_{command.upper()}_") for name in os.environ)


def _wants_json(argv: list[str]) -> bool:
    command = next((word for word in argv if not word.startswith("-")), "")
    variable = os.environ.get(f"NETLAB_{command.upper()}_JSON", "")
    return "--json" in _before_dashes(argv) or variable.lower() in TRUE


TRUE = {"1", "true", "t", "yes", "y", "on"}
"""As click reads a variable."""


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _open_what_is_closed() -> None:
    """Else a socket of ours would become standard output."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _unsaid(problem: OSError) -> int:
    """The exit code where standard output takes no more; any other problem goes on."""
    try:
        sys.stdout.write("\n")  # what could not be written before is lost: only a new try tells
        sys.stdout.flush()
    except OSError as refusal:
        # also not at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(refusal, BrokenPipeError):
            return 141
        print(f"standard output: {refusal.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    raise problem


if __name__ == "__main__":
    main()
