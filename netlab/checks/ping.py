"""An echo request, asked again until it is answered."""

from __future__ import annotations

from dataclasses import replace

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks import PingTest
from netlab.trace.request import Words


def words(test: PingTest) -> Words:
    return replace(words_of(test), size=test.size, dont_fragment=test.df or None)


def attempt(test: PingTest, site: Site, within: float) -> Seen:
    address = address_of(words_of(test), site)
    is_answered = attempts.ping(
        site, test.from_, address, within, size=test.size, dont_fragment=test.df
    )
    said = "answered" if is_answered else "not answered"
    return Seen(
        is_answered == (test.expect == "answered"),
        f"an echo request of {test.size} bytes to {address} was {said}",
    )


sort = Sort(
    attempt=attempt,
    words=words,
    denies=lambda test: test.expect == "denied",
    opens=lambda test: test.expect == "answered",
)
