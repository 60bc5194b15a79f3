"""Echo requests: one, asked again until it is answered; or several, of which all are counted."""

from __future__ import annotations

from dataclasses import replace

from netlab import attempts
from netlab.attempts import Echoes
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks import PingTest
from netlab.trace.request import Words


def words(test: PingTest) -> Words:
    return replace(words_of(test), size=test.size, dont_fragment=test.df or None)


def attempt(test: PingTest, site: Site, within: float) -> Seen:
    address = address_of(words_of(test), site)
    if test.count > 1 or test.loss or test.rtt:
        return _several(test, site, address, within)
    is_answered = attempts.ping(
        site, test.from_, address, within, size=test.size, dont_fragment=test.df
    )
    said = "answered" if is_answered else "not answered"
    return Seen(
        is_answered == (test.expect == "answered"),
        f"an echo request of {test.size} bytes to {address} was {said}",
    )


def _several(test: PingTest, site: Site, address: str, within: float) -> Seen:
    found = attempts.echoes(
        site, test.from_, address, test.count, within, size=test.size, dont_fragment=test.df
    )
    lost = 100 * (1 - len(found.times) / found.sent)
    many = f"{found.sent} echo requests" if found.sent > 1 else "an echo request"
    said = f"{many} of {test.size} bytes to {address}: {lost:.3g} % lost{_times(found)}"
    if test.expect != "answered":
        return Seen(not found.times, said)
    least, most = test.loss or (0, 0)
    is_met = least <= lost <= most
    if test.rtt and found.times:
        is_met = is_met and test.rtt[0] <= sum(found.times) / len(found.times) <= test.rtt[1]
    return Seen(is_met and bool(found.times or least == 100), said)


def _times(found: Echoes) -> str:
    if not found.times:
        return ""
    least, mean, most = (
        1000 * time for time in
        (min(found.times), sum(found.times) / len(found.times), max(found.times))
    )  # fmt: skip
    return f", answered within {least:.2f} to {most:.2f} ms, {mean:.2f} on an average"


sort = Sort(
    attempt=attempt,
    words=words,
    denies=lambda test: test.expect != "answered" or bool(test.loss and test.loss[0] == 100),
    loses=lambda test: test.expect == "lost",
    opens=lambda test: test.expect == "answered",
)
