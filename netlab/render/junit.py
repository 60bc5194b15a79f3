"""Verdicts as JUnit's XML, which pipelines read. Inconclusive is an error, as it is no answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, ElementTree, SubElement

from netlab.checks.verdicts import Verdict

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write (section 2.2)."""
TAGS = {"fail": "failure", "inconclusive": "error"}


def write(path: str, lab: str, verdicts: Sequence[Verdict], seconds: float) -> None:
    """Raises OSError."""
    counts = {tag: sum(TAGS.get(v.verdict) == tag for v in verdicts) for tag in TAGS.values()}
    suite = Element(
        "testsuite", name=lab, tests=f"{len(verdicts)}", failures=f"{counts['failure']}",
        errors=f"{counts['error']}", time=f"{seconds:.3f}",
    )  # fmt: skip
    for verdict in verdicts:
        _case(suite, lab, verdict)
    whole = Element("testsuites")
    whole.append(suite)
    ElementTree(whole).write(path, encoding="utf-8", xml_declaration=True)


def _case(suite: Element, lab: str, verdict: Verdict) -> None:
    file, _, line = verdict.at.rpartition(":")
    case = SubElement(
        suite, "testcase", classname=f"{lab}.{verdict.sort}", name=_text(_name(verdict)),
        time=f"{verdict.seconds:.3f}", file=_text(file), line=line,
    )  # fmt: skip
    if verdict.verdict in TAGS:
        told = SubElement(case, TAGS[verdict.verdict], message=_text(verdict.saw))
        told.text = _text("\n".join(filter(None, _told(verdict))))
    elif verdict.control:
        SubElement(case, "system-out").text = _text(f"control: {verdict.control}")


def _name(verdict: Verdict) -> str:
    return f"{verdict.name} (round {verdict.round})" if verdict.round > 1 else verdict.name


def _told(verdict: Verdict) -> tuple[str, ...]:
    return verdict.why, *verdict.evidence, verdict.line, verdict.advice


def _text(words: str) -> str:
    return NOT_XML.sub("\ufffd", words)
