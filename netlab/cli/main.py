"""The `netlab` command. The way into a node is taken before typer is even loaded."""

from __future__ import annotations

import os
import sys

from netlab.errors import NetlabError


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """The exit code. Only a bug ends in a traceback."""
    try:
        if argv[:1] == ["exec"] and _is_plain(argv[1:]):
            from netlab.cli.enter import run as enter

            return enter(argv[1], argv[2:], False)
        from netlab.cli.app import run as whole

        return whole(argv)
    except NetlabError as failure:
        from netlab.cli.app import renderer

        renderer("--json" in _before_dashes(argv)).failure(failure)
        return failure.exit_code
    except BrokenPipeError:
        # whoever read has gone: nothing more is to be said, also not at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130


def _is_plain(words: list[str]) -> bool:
    """``LAB NODE -- COMMAND``: no option that typer would have to read."""
    before = _before_dashes(words)
    options = any(word.startswith("-") for word in before)
    return (
        len(before) > 1 and before != words and not options and "NETLAB_EXEC_ALL" not in os.environ
    )


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


if __name__ == "__main__":
    main()
