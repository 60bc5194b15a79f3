"""`netlab exec` and `netlab shell`: into a node, with as little on the way as can be."""

from __future__ import annotations

from netlab.cli.which import identity_of, lab_name, nodes_of, state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:  # see netlab.errors
    from collections.abc import Sequence
    from typing import NoReturn


def exec_one(lab: str, node: str, argv: Sequence[str]) -> NoReturn:
    """Become the program."""
    from netlab.kernel import enter

    enter.exec_command(lab, node, identity_of(lab, node), argv, state_directory())


def exec_many(lab: str, nodes: Sequence[str], argv: Sequence[str]) -> int:
    """In several nodes at once; 0 if all ended so, else the highest exit code."""
    from netlab.kernel import enter

    identities: dict[str, int | None] = {node: identity_of(lab, node) for node in nodes}
    return max(enter.run_many(lab, identities, argv, state=state_directory()).values(), default=0)


def shell(lab: str, node: str) -> NoReturn:
    from netlab.kernel import enter

    enter.exec_shell(lab, node, identity_of(lab, node), state_directory())


def run(lab_or_file: str, words: Sequence[str], everywhere: bool) -> int:
    """``words``: nodes, then what follows ``--``."""
    lab = lab_name(lab_or_file)
    nodes, argv = split(words, everywhere)
    if len(nodes) == 1:
        exec_one(lab, nodes[0], argv)
    return exec_many(lab, nodes or nodes_of(lab), argv)


def split(words: Sequence[str], everywhere: bool) -> tuple[list[str], list[str]]:
    """Nodes (none: all) and command. Without ``--`` the first word is the node."""
    from netlab.errors import UsageError

    usage = "netlab exec LAB NODE… -- COMMAND…, or netlab exec --all LAB -- COMMAND…"
    if "--" in words:
        at = list(words).index("--")
        nodes, argv = [word for word in words[:at] if word != "--all"], list(words[at + 1 :])
        everywhere = everywhere or "--all" in words[:at]
    elif everywhere:
        nodes, argv = [], list(words)
    else:
        nodes, argv = list(words[:1]), list(words[1:])
    if not argv:
        raise UsageError("no command was given", hint=usage)
    if bool(nodes) == everywhere:
        raise UsageError(
            "`--all` means all nodes: name none" if everywhere else "in which node?", hint=usage
        )
    return nodes, argv
