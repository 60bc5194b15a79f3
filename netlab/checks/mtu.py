"""The path MTU, by echo requests that may not be cut: the largest that comes back.

A router that throws one away says by ICMP what would fit (RFC 1191, 8201); where it does not, or
where that is lost, silence says it (RFC 8899).
"""

from __future__ import annotations

import errno
import secrets
import select
import socket
import time
from typing import NamedTuple

from netlab.attempts import OUTCOMES, echo_request, raw_icmp
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks_measures import MtuTest

PROBE = {False: (socket.IPPROTO_IP, 10, 3), True: (socket.IPPROTO_IPV6, 23, 3)}
"""PMTUDISC_PROBE: never cut, and never mind what is known of the way (ip(7), ipv6(7))."""
LEAST = {False: 68, True: 1280}
"""That every link must carry (RFC 791, RFC 8200)."""
SILENCE = 0.3
"""Seconds until an echo request counts as lost."""
TRIES = 2


class Told(NamedTuple):
    passed: bool
    words: str
    """Why not."""
    fits: int = 0
    """What would, as somebody on the way says."""


def attempt(test: MtuTest, site: Site, within: float) -> Seen:
    address = address_of(words_of(test), site)
    is_six = ":" in address
    with site.inside(test.from_, lambda: raw_icmp(is_six)) as sock:
        sock.setblocking(False)
        sock.setsockopt(*PROBE[is_six])
        way = _Way(sock, address, is_six)
        inside, outside = way.probe(test.expect), way.probe(test.expect + 1)
        if inside.passed and not outside.passed:
            return Seen(True, f"{test.expect} bytes get to {address}, one more: {outside.words}")
        found = way.largest()
    if found is None:
        return Seen(False, f"not even {LEAST[is_six]} bytes get to {address} and back")
    return Seen(False, f"{found[0]} bytes get to {address}, one more: {found[1]}")


class _Way(NamedTuple):
    sock: socket.socket
    address: str
    is_six: bool

    def probe(self, size: int) -> Told:
        """Whether an IP packet of so many bytes gets there and is answered."""
        heads = 48 if self.is_six else 28
        if size < heads + 8:
            return Told(True, "") if self.probe(heads + 8).passed else Told(False, "no answer")
        told = Told(False, "no answer")
        for number in range(1, TRIES + 1):
            token = secrets.token_bytes(8)
            request = echo_request(self.is_six, number, token.ljust(size - heads, b"\0"))
            try:
                self.sock.sendto(request, (self.address, 0))
            except OSError as problem:
                if problem.errno == errno.EMSGSIZE:
                    return Told(False, "the device takes no more")
                if problem.errno not in OUTCOMES:
                    raise
                return Told(False, OUTCOMES[problem.errno])
            told = self._heard(token)
            if told.passed or told.fits:
                return told
        return told

    def _heard(self, token: bytes) -> Told:
        until = time.monotonic() + SILENCE
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                break
            try:
                data, (source, *_) = self.sock.recvfrom(65535)
            except OSError:  # an ICMP error about a request before
                continue
            message = data if self.is_six else data[(data[0] & 15) * 4 :]
            if message[:1] == bytes((129 if self.is_six else 0,)) and message[8:16] == token:
                return Told(True, "")
            if token in message and (fits := self._fits(message)):
                return Told(False, f"{source} says that {fits} would fit", fits)
        return Told(False, "no answer")

    def _fits(self, message: bytes) -> int:
        """As "packet too big" says it; 0 for another message."""
        if self.is_six:
            return int.from_bytes(message[4:8], "big") if message[0] == 2 else 0
        return int.from_bytes(message[6:8], "big") if message[:2] == b"\x03\x04" else 0

    def largest(self) -> tuple[int, str] | None:
        """The size of the largest that gets there, and why the next one does not."""
        low, high, why = LEAST[self.is_six], 65536, "no packet of IP is larger"
        if not self.probe(low).passed:
            return None
        guess, hint = high - 1, 0
        while high - low > 1:
            told = self.probe(guess)
            if told.passed:
                low, guess = guess, guess + 1 if guess == hint else (guess + high) // 2
            else:
                high, why = guess, told.words
                hint = told.fits if low < told.fits < high else 0
                guess = hint or (low + high) // 2
        return low, why


sort = Sort(attempt=attempt, words=words_of, opens=lambda test: True)
