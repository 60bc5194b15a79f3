"""Labs with a mistake, taken apart: the complaint, the trace that finds it, and its answer.

A file of topologies/broken/ ends with a comment that tells what is wrong, the trace with the cause
that it names, and the change that mends it, as lines of a diff::

    # The answer
    #
    # A route was written for one direction only …
    #
    # netlab trace LAB office branch --expect no-return-route
    #
    # -  r2: {kind: router}
    # +  r2: {kind: router, routes: [{to: 10.1.0.0/24, via: 10.0.0.1}]}
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from tests.live.world import ROOT

PLACE = ROOT / "topologies/broken"
STEMS = sorted(path.stem for path in PLACE.glob("*.yaml"))
ANSWER = "\n# The answer\n"


@dataclass(frozen=True)
class Broken:
    stem: str
    topology: str
    """What is before the answer."""
    description: str
    answer: str

    @property
    def complaint(self) -> list[str]:
        """The words of the command that shows it: NODE -- COMMAND…"""
        return self._told("exec")

    @property
    def words(self) -> str:
        """The complaint as somebody says it."""
        (said,) = re.findall('The complaint: "([^"]+)"', self.description)
        return str(said)

    @property
    def question(self) -> list[str]:
        """FROM TO and options of the trace."""
        return self._told("trace")

    def _told(self, verb: str) -> list[str]:
        (command,) = re.findall(f"`netlab {verb} {self.stem} ([^`]+)`", self.description)
        return shlex.split(command)

    @property
    def found_by(self) -> list[str]:
        """As ``question``, with what it is expected to end with."""
        (command,) = re.findall(f"^# netlab trace {self.stem} (.+)$", self.answer, re.M)
        return shlex.split(command)

    @property
    def cause(self) -> str:
        return self.found_by[-1]

    def mended(self) -> str:
        """The topology after the change."""
        text = self.topology
        for before, after in self._changes():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        assert text != self.topology
        return text

    def _changes(self) -> Iterator[tuple[str, str]]:
        """Of each run of lines as in a diff: what was there, and what takes its place."""
        for hunk in re.findall(r"(?:^# [-+ ] .*\n)+", self.answer, re.M):
            lines = [(line[2], line[3:]) for line in hunk.splitlines(keepends=True)]
            yield tuple("".join(t for m, t in lines if m in side) for side in ("- ", "+ "))


def broken(stem: str) -> Broken:
    text = (PLACE / f"{stem}.yaml").read_text()
    topology, _, answer = text.partition(ANSWER)
    return Broken(stem, topology, yaml.safe_load(topology)["description"], answer)


PING, CURL = "ping -c 1 -W 2", "curl -s -m 3 -o /dev/null"
WORKS = {
    "stuck-at-gateway": [
        f"alice {PING} 10.1.0.1", f"alice {PING} 10.2.0.1", f"bob {PING} 10.1.0.1",
    ],
    "dead-second-address": [
        f"client {PING} 10.1.0.2", f"gw {PING} 10.1.0.2", f"gw {PING} 10.2.0.2",
    ],
    "next-door-unreachable": [
        f"laptop {PING} colleague", f"laptop {PING} web", f"colleague {PING} files",
    ],
    "pages-hang": [f"client {PING} server", f"client {CURL} http://server/no-such-page"],
    "only-small-pings": [f"backup {PING} nas"],
    "rule-without-effect": [f"client {CURL} http://server/", f"client {PING} server"],
    "only-from-outside": [f"customer {CURL} http://203.0.113.1/"],
    "wrong-machine-answers": [f"server {CURL} http://192.168.1.10/", f"client {PING} server"],
    "cut-off-by-new-router": [f"neighbour {PING} web", f"server {PING} neighbour"],
    "strangers-on-one-switch": [f"anna {PING} router", f"ben {PING} router"],
    "islands": [f"host1 {PING} 10.3.0.2"],
    "works-on-my-machine": [f"server {CURL} http://127.0.0.1:8000/", f"client {PING} server"],
    "only-ipv6-is-dead": [f"client {CURL} http://10.0.0.80/", f"client {PING} 10.0.0.80"],
    "no-internet": [
        f"newcomer {PING} bench", f"newcomer {PING} lab-router", f"colleague {PING} web",
    ],
    "back-and-forth": [f"client {PING} office"],
    "gone-since-the-attack": [f"office {PING} 198.51.100.1"],
    "silent-vpn": [f"laptop {PING} home"],
}  # fmt: skip
"""What does work all the same, as the description says: NODE COMMAND…"""
