"""Tests of bytes → a program of classic BPF (bpf(4), linux/filter.h)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from netlab.trace.filters.meaning import Always, Both, Check, Either, Negated, Test, meaning
from netlab.trace.filters.tree import Expression

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand; jumps count from the next instruction."""

WHOLE = 262144
"""Bytes: more than any packet has."""

LONGEST = 4096
"""Instructions that a kernel takes (``BPF_MAXINSNS``)."""

FARTHEST = 255
"""Instructions that a conditional jump reaches."""

RETURN, JUMP = 0x06, 0x05
COMPARE = {"==": 0x15, ">": 0x25, ">=": 0x35, "&": 0x45}


def compiled(expression: Expression | None, link: int, snaplen: int = WHOLE) -> list[Instruction]:
    """For packets that begin with that link header; None is everything.

    Its result is how many bytes of the packet are kept: ``snaplen``, or 0. Raises ValueError where
    it is longer than a kernel takes.
    """
    labels = count()
    yes, no = next(labels), next(labels)
    test = Always(True) if expression is None else meaning(expression, link)
    lines: list[Line] = [*_code(test, yes, no, labels)]
    lines += [Place(yes), Plain(RETURN, snaplen), Place(no), Plain(RETURN, 0)]
    program = _assembled(lines)
    if len(program) > LONGEST:
        raise ValueError(f"{len(program)} instructions; a kernel takes {LONGEST}")
    return program


@dataclass(frozen=True)
class Plain:
    code: int
    operand: int


@dataclass(frozen=True)
class Place:
    """Where a label is; no instruction."""

    label: int


@dataclass(frozen=True)
class Fork:
    code: int
    operand: int
    yes: int
    no: int


@dataclass(frozen=True)
class Leap:
    label: int


Line = Plain | Place | Fork | Leap


def _code(test: Test, yes: int, no: int, labels: Iterator[int]) -> Iterator[Line]:
    """Goes to one of the two labels; neither lies before it."""
    match test:
        case Always(holds):
            yield Leap(yes if holds else no)
        case Negated(inner):
            yield from _code(inner, no, yes, labels)
        case Both(left, right):
            between = next(labels)
            yield from _code(left, between, no, labels)
            yield Place(between)
            yield from _code(right, yes, no, labels)
        case Either(left, right):
            between = next(labels)
            yield from _code(left, yes, between, labels)
            yield Place(between)
            yield from _code(right, yes, no, labels)
        case Check(loads, relation, value):
            yield from (Plain(*load) for load in loads)
            yield Fork(COMPARE[relation], value, yes, no)


def _assembled(lines: list[Line]) -> list[Instruction]:
    """Labels as distances. What a conditional jump cannot reach, it reaches by two others."""
    far: set[int] = set()
    while True:
        places, starts = _places(lines, far)
        too_far = {
            n
            for n, line in enumerate(lines)
            if isinstance(line, Fork)
            and n not in far
            and max(places[line.yes], places[line.no]) - starts[n] - 1 > FARTHEST
        }
        if not too_far:
            break
        far |= too_far
    program: list[Instruction] = []
    for n, line in enumerate(lines):
        at = starts[n] + 1
        match line:
            case Plain(code, operand):
                program.append((code, 0, 0, operand))
            case Leap(label):
                program.append((JUMP, 0, 0, places[label] - at))
            case Fork(code, operand, yes, no) if n in far:
                program.append((code, 0, 1, operand))
                program.append((JUMP, 0, 0, places[yes] - at - 1))
                program.append((JUMP, 0, 0, places[no] - at - 2))
            case Fork(code, operand, yes, no):
                program.append((code, places[yes] - at, places[no] - at, operand))
    return program


def _places(lines: list[Line], far: set[int]) -> tuple[dict[int, int], list[int]]:
    """Of each label, and of each line, the instruction."""
    places: dict[int, int] = {}
    starts: list[int] = []
    at = 0
    for n, line in enumerate(lines):
        starts.append(at)
        if isinstance(line, Place):
            places[line.label] = at
        else:
            at += 3 if n in far else 1
    return places, starts
