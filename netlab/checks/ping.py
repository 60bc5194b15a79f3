"""An echo request, asked again until it is answered."""

from __future__ import annotations

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks import PingTest


def attempt(test: PingTest, site: Site, within: float) -> Seen:
    address = address_of(words_of(test), site)
    is_answered = attempts.ping(site, test.from_, address, within)
    words = f"an echo request to {address} was {'answered' if is_answered else 'not answered'}"
    return Seen(is_answered == (test.expect == "answered"), words)


sort = Sort(
    attempt=attempt,
    words=words_of,
    denies=lambda test: test.expect == "denied",
    opens=lambda test: test.expect == "answered",
)
