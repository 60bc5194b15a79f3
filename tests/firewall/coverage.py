"""What the corpus holds, rule by rule, and where nft and netlab differ on purpose.

Pure: ``tests/live`` proves that the differences are these and no others, so that the section of
docs/nftables.md can be held against this without nft.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.firewall import syntax as s
from netlab.firewall.parse import FAMILIES, parse

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.glob("*.nft"))
JUDGEMENTS = {
    "a": "`nft list ruleset` after netlab loaded a text is what it is after `nft -f` loaded it",
    "b": "the kernel's expressions and the elements of sets are the same (`nft --debug=netlink`)",
    "c": "netlab's own listing of what `nft -f` loaded is the text of `nft list ruleset`",
    "d": "netlab's listing, loaded by netlab, is listed by nft as before",
}


class Difference(NamedTuple):
    """A rule that does not come to the same, and why that is meant."""

    file: str
    judgement: str
    family: str
    rule: str
    why: str
    lines: tuple[str, ...]
    """What differs, as a diff from nft's to netlab's."""


EXPLAINED = (
    *(
        Difference(
            file, "b", "ip", "ct original saddr 1.2.3.4",
            "netlab asks for the address by the key that says of which family it is "
            "(Linux 4.17), nft by the older one that leaves it to the connection",
            ("-  [ ct load src => reg 1 , dir original ]",
             "+  [ ct load src_ip => reg 1 , dir original ]"),
        )
        for file in ("matches-ip.nft", "sets-ip.nft")
    ),
    Difference(
        "words.nft", "b", "inet", "meta l4proto . th dport { tcp . 22, 6-17 . 53 }",
        "nft turns the one byte of a protocol round before it looks it up among intervals, "
        "which changes nothing",
        ("-  [ byteorder reg 1 = hton(reg 1, 2, 1) ]",),
    ),
    Difference(
        "netdev.nft", "d", "netdev", "ip dscp . tcp dport { cs1 . 22 }",
        "nft lists the field as `ip dscp >> 2`, and shifts once more each time it reads that; "
        "netlab takes it for the field",
        ("-\t\tip dscp >> 2 >> 2 . tcp dport { cs1 . 22 }",
         "+\t\tip dscp >> 2 . tcp dport { cs1 . 22 }"),
    ),
)  # fmt: skip


def expected(file: str, judgement: str) -> list[str]:
    """The lines in which the two may differ."""
    found = (d.lines for d in EXPLAINED if (d.file, d.judgement) == (file, judgement))
    return [line for lines in found for line in lines]


def rules() -> list[tuple[str, s.Rule]]:
    """Each rule of the corpus, with its family."""
    return [each for file in FILES for each in _rules(parse(file.read_text()).lines)]


def _rules(lines: Sequence[s.Line]) -> Iterator[tuple[str, s.Rule]]:
    for line in lines:
        if not isinstance(line, s.Command):
            continue
        family = line.family or "ip"
        if isinstance(line.body, s.Rule):
            yield family, line.body
        chains = line.body.parts if isinstance(line.body, s.Table) else (line.body,)
        for chain in chains:
            if isinstance(chain, s.Chain):
                yield from ((family, rule) for rule in chain.rules)


def topics(rule: s.Rule) -> set[str]:
    """What a rule is about, in the words of docs/nftables.md."""
    return {topic for each in rule.statements for topic in _topics(each)}


def _topics(tree: s.Statement) -> Iterator[str]:
    if isinstance(tree, s.Match):
        yield from (f"match {word}" for word in _first_words(tree.left))
        if isinstance(tree.right, s.SetLiteral | s.SetName):
            yield "set"
        if isinstance(tree.left, s.Concat):
            yield "concatenation"
    elif isinstance(tree, s.Decide):
        yield "verdict map" if isinstance(tree.verdict, s.Map) else tree.verdict.kind
    elif isinstance(tree, s.Assign):
        yield from (f"set {word}" for word in _first_words(tree.target))
        if isinstance(tree.value, s.Map):
            yield "map"
    elif isinstance(tree, s.Nat):
        yield tree.kind
        if isinstance(tree.address, s.Map) or isinstance(tree.port, s.Map):
            yield "map"
    elif isinstance(tree, s.Remember):
        yield f"{tree.verb} @set"
    elif isinstance(tree, s.Refer):
        yield f"named {tree.kind}"
    elif isinstance(tree, s.Plain):
        yield tree.word
    else:
        yield _WORDS[type(tree)]


def _first_words(tree: s.Expression) -> Iterator[str]:
    if isinstance(tree, s.Concat):
        for part in tree.parts:
            yield from _first_words(part)
    elif isinstance(tree, s.Binary):
        yield from _first_words(tree.left)
        yield "computed"
    elif isinstance(tree, s.Hash):
        yield tree.kind.split()[0]
    elif isinstance(tree, s.Selector):
        yield tree.words[0]
    else:
        yield "@raw"


_WORDS: dict[type, str] = {
    s.Counter: "counter", s.Limit: "limit", s.Quota: "quota", s.Connections: "ct count",
    s.Log: "log", s.Reject: "reject", s.Tproxy: "tproxy", s.Synproxy: "synproxy",
    s.Queue: "queue", s.Send: "dup, fwd", s.Meter: "meter", s.Reset: "reset tcp option",
    s.Offload: "flow add",
}  # fmt: skip


def section(wrong: Sequence[Difference]) -> str:
    """The tables of docs/nftables.md, given what does not come to the same."""
    all_rules = rules()
    lines = ["| | what is compared | rules that are the same |", "|---|---|--:|"]
    for judgement, words in JUDGEMENTS.items():
        share = _share(len(all_rules), _count(wrong, judgement))
        lines.append(f"| ({judgement}) | {words} | {share} |")
    lines += ["", *_head("family")]
    for family in FAMILIES:
        mine = [rule for of, rule in all_rules if of == family]
        lines.append(_row(family, len(mine), [d for d in wrong if d.family == family]))
    lines += ["", *_head("statement")]
    about = [(rule, topics(rule)) for _, rule in all_rules]
    for topic in sorted({topic for _, found in about for topic in found}):
        mine = [rule for rule, found in about if topic in found]
        touched = [d for d in wrong if topic in topics(_parsed(d))]
        lines.append(_row(topic, len(mine), touched))
    lines += ["", "| | family | rule | why it differs |", "|---|---|---|---|"]
    told = sorted({(d.judgement, d.family, d.rule, d.why) for d in wrong})
    lines += [f"| ({which}) | {family} | `{rule}` | {why} |" for which, family, rule, why in told]
    return "\n".join(lines)


def _head(what: str) -> list[str]:
    return [f"| {what} | rules | (a) | (b) | (c) | (d) |", "|---|--:|--:|--:|--:|--:|"]


def _row(name: str, total: int, wrong: Sequence[Difference]) -> str:
    shares = " | ".join(_share(total, _count(wrong, judgement)) for judgement in JUDGEMENTS)
    return f"| {name} | {total} | {shares} |"


def _count(wrong: Sequence[Difference], judgement: str) -> int:
    return sum(d.judgement == judgement for d in wrong)


def _share(total: int, wrong: int) -> str:
    return f"{100 * (1 - wrong / total):.2f} %" if wrong else "100 %"


def _parsed(difference: Difference) -> s.Rule:
    text = f"table {difference.family} t {{\nchain c {{\n{difference.rule}\n}}\n}}\n"
    return next(rule for _, rule in _rules(parse(text).lines))
