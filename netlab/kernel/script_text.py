"""A lab's script as a whole: its head, what its lines call, the lines under headings, its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from shlex import quote
from textwrap import wrap
from typing import NamedTuple

from netlab.kernel.baseline import BASELINE, ROOT, path_of

FILES = "/run/netns-files"
"""Where a script keeps the files that /etc/netns (ip-netns(8)) has no place for."""


class Line(NamedTuple):
    """One command. ``chapter`` "" means that it concerns the node of ``ns`` alone."""

    ns: str
    text: str
    chapter: str = ""


def whole(
    lab: str, description: str, namespaces: Sequence[str], written: Sequence[Line]
) -> str:
    lines = [line.text for line in written]
    return "\n".join([
        *_head(lab, description, namespaces, lines),
        "up() {",
        *_indented([*_GUARD, *_by_node(written), "trap - EXIT INT TERM HUP"]),
        "}",
        *(_TAIL if not _has_files(lines) else map(_with_exec, _TAIL)),
    ])


_GUARD = (
    "for ns in $namespaces; do",
    f"    for place in /run/netns /etc/netns {FILES}; do",
    '        [ ! -e "$place/$ns" ] || { echo "$place/$ns is there already" >&2; exit 1; }',
    "    done",
    "done",
    "trap 'status=$?; down || :; exit $status' EXIT",
    "trap 'exit 130' INT TERM HUP",
)

_TAIL = (
    "",
    "down() {",
    "    left=0",
    "    for ns in $reversed; do",
    '        if [ -e "/run/netns/$ns" ]; then',
    '            for pid in $(ip netns pids "$ns"); do kill -9 "$pid" 2>/dev/null || :; done',
    '            ip netns del "$ns" || left=1',
    "        fi",
    f'        rm -rf "/etc/netns/$ns" "{FILES}/$ns"',
    "    done",
    f"    rmdir /etc/netns {FILES} 2>/dev/null || :",
    "    return $left",
    "}",
    "",
    'case "${1-up}" in',
    "    up) up ;;",
    "    down) down ;;",
    '    *) echo "usage: $0 [up|down]" >&2; exit 2 ;;',
    "esac",
    "",
)

_BEGIN = (
    "begin() {  # NAMESPACE: what every node starts with",
    '    ip -n "$1" link set dev lo up',
    """    ip netns exec "$1" sh -c 'while [ $# -gt 0 ]; do""",
    """        [ ! -e "/proc/sys/net/$1" ] || echo "$2" > "/proc/sys/net/$1"; shift 2""",
    "    done' sh \\",
    " \\\n".join(
        f"        {path_of(name).removeprefix(f'{ROOT}/net/')} {value}"
        for name, value in BASELINE.items()
    ),
    "}",
    "",
)

_FILES = (
    "give() {  # NAMESPACE MODE PATH: a file of that node, its text on stdin",
    f'    at={FILES}/$1/tree$3',
    '    case ${3#/etc/} in */*) ;; *) [ ! -e "$3" ] || at=/etc/netns/$1/${3#/etc/} ;; esac',
    '    mkdir -p "${at%/*}"; cat > "$at"; chmod "$2" "$at"',
    "}",
    "",
    "# what `sh -c` does in a node to show the files that `ip netns exec` cannot show",
    "inside='",
    f"own={FILES}/$1; etc=/etc/netns/$1; shift",
    '[ -d "$own" ] || exec "$@"',
    'work=$own/work; mkdir -p "$work"; mount -t tmpfs -o mode=0755 none "$work"',
    'find "$own/tree" -type f | sed "s|^$own/tree||" > "$work/files"',
    "while IFS= read -r file; do",
    "    above=${file%/*}",
    '    while [ ! -d "$above/" ]; do above=${above%/*}; done',
    '    [ -n "$above" ] || { echo "a new directory beside /etc: $file" >&2; exit 1; }',
    '    [ -e "$file" ] || echo "$above"',
    'done < "$work/files" > "$work/above"',
    'LC_ALL=C sort -u "$work/above" > "$work/lacking"',
    "last=none n=0",
    "while IFS= read -r above; do",
    '    case $above/ in "$last"/*) continue ;; esac',
    '    last=$above n=$((n + 1)) upper=$work/$n',
    '    mkdir -m "$(stat -c %a "$above/")" "$upper"; mkdir "$upper.work"',
    '    options=lowerdir=$above,upperdir=$upper,workdir=$upper.work',
    '    mount -t overlay -o "$options" none "$above"',
    'done < "$work/lacking"',
    "while IFS= read -r file; do",
    '    if [ ! -e "$file" ]; then',
    '        mkdir -p "${file%/*}"; rm -f "$file"; cp -p "$own/tree$file" "$file"',
    '    elif ! cmp -s "$own/tree$file" "$file"; then',
    '        n=$((n + 1)); cp -p "$own/tree$file" "$work/$n"; mount --bind "$work/$n" "$file"',
    "    fi",
    'done < "$work/files"',
    'for file in "$etc"/*; do  # an overlay over /etc hides them',
    '    if [ -e "$file" ] && ! cmp -s "$file" "/etc/${file##*/}"; then',
    '        mount --bind "$file" "/etc/${file##*/}"',
    "    fi",
    "done",
    """exec "$@"'""",
    "",
)

_FRESH = (
    "fresh() {  # NAMESPACE SWITCH MODEL: back to what a new namespace has",
    '    ip netns add "$1.fresh"; begin "$1.fresh"',
    '    value=$(ip netns exec "$1.fresh" cat "$3") || :',
    '    ip netns del "$1.fresh"',
    """    ip netns exec "$1" sh -c 'echo "$1" > "$2"' sh "$value" "$2" 2>/dev/null || :""",
    "}",
    "",
)


def _head(
    lab: str, description: str, namespaces: Sequence[str], lines: Sequence[str]
) -> Iterator[str]:
    tools = "ip and bridge of iproute2" + (
        ", ethtool" if any(" ethtool -K " in line for line in lines) else ""
    )
    example = namespaces[0] if namespaces else f"{lab}.NODE"
    yield "#!/bin/sh"
    yield from _comment(f"{lab}: {description.strip()}" if description.strip() else lab)
    yield "#"
    yield f"# Written by netlab. Needs root and {tools}."
    yield "#     sh THIS up        build the lab (the default)"
    yield "#     sh THIS down      take it down"
    if _has_files(lines):
        yield f"#     sh THIS exec {quote(example)} COMMAND"
        yield "# `ip netns exec` shows only those files that the machine has in /etc as well."
    else:
        yield f"#     ip netns exec {quote(example)} COMMAND"
    yield "# A command started so keeps the machine's host name."
    yield "set -eu"
    yield ""
    yield f"namespaces={quote(' '.join(namespaces))}"
    yield f"reversed={quote(' '.join(reversed(namespaces)))}"
    yield ""
    if any(line.startswith("begin ") for line in lines):
        yield from _BEGIN
    if any(line.startswith("fresh ") for line in lines):
        yield from _FRESH
    if _has_files(lines):
        yield from _FILES


def _has_files(lines: Iterable[str]) -> bool:
    """Whether some may have to be shown that `ip netns exec` does not."""
    return any("| give " in line for line in lines)


def _with_exec(line: str) -> str:
    """Of the script's end."""
    if line.endswith("down) down ;;"):
        start = 'shift; exec ip netns exec "$1" sh -euc "$inside" sh "$@"'
        return f"{line}\n    exec) {start} ;;"
    return line.replace("[up|down]", "[up|down|exec NAMESPACE COMMAND...]")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _comment(text: str) -> list[str]:
    lines = [part for line in text.splitlines() for part in wrap(line, 98) or [""]]
    return [f"# {line}".rstrip() for line in lines]


def _by_node(written: Sequence[Line]) -> Iterator[str]:
    """Under headings; lines that concern one node alone are put together as far as that goes."""
    for chapter, lines in groupby(written, key=lambda line: line.chapter):
        if chapter:
            yield from ("", f"# {chapter}", *(line.text for line in lines))
            continue
        by_node: dict[str, list[str]] = {}
        for line in lines:
            by_node.setdefault(line.ns, []).append(line.text)
        for ns, texts in by_node.items():
            yield from ("", f"# {ns.partition('.')[2] or ns}", *texts)
    yield ""
