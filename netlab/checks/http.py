"""A page, fetched with GET."""

from __future__ import annotations

import http.client
import socket

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks import HttpTest
from netlab.trace.request import Words


def words(test: HttpTest) -> Words:
    return words_of(test, tcp=test.port)


def attempt(test: HttpTest, site: Site, within: float) -> Seen:
    address = address_of(words(test), site)
    try:
        status, body = _fetched(test, site, address, within)
    except OSError as problem:
        known = attempts.OUTCOMES.get(problem.errno or 0, problem.strerror or str(problem))
        return Seen(False, f"GET {test.http} from {address}: {known}")
    except http.client.HTTPException as problem:
        return Seen(False, f"GET {test.http} from {address}: no answer in HTTP ({problem!r})")
    said = f"GET {test.http} from {address}: {status}, {len(body)} bytes"
    if status != test.expect.status:
        return Seen(False, said)
    if test.expect.body not in body:
        return Seen(False, f"{said}, without {test.expect.body!r}")
    return Seen(True, said)


def _fetched(test: HttpTest, site: Site, address: str, within: float) -> tuple[int, str]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = site.inside(test.from_, lambda: socket.socket(family, socket.SOCK_STREAM))
    with sock:
        sock.settimeout(within)
        sock.connect((address, test.port))
        connection = http.client.HTTPConnection(test.target, test.port)
        connection.sock = sock
        connection.request("GET", test.path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(MOST).decode(errors="replace")


MOST = 1 << 20
"""Bytes that are read of a page."""

sort = Sort(attempt=attempt, words=words, opens=lambda test: True)
