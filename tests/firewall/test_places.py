"""A token's place is the same however one comes to ask for it."""

from __future__ import annotations

import random

from netlab.firewall.lexer import offset, tokens

BULK = ", ".join(f"10.0.{n}.1-10.0.{n}.9" for n in range(80))
TEXT = f"""\
define many = {{ {BULK}, }}
table inet t {{ # a comment
  set s {{ type ipv4_addr; flags interval; elements = {{ {BULK} }} }}
  chain c {{ ip6 saddr 2001:db8::1 tcp dport 22-80 \\
    drop; }}
}}
"""


def test_places_do_not_depend_on_what_was_asked_before() -> None:
    last = tokens(TEXT, 0).places[-1]
    numbers = [*range(last + 1), *random.Random(7).sample(range(last + 1), last)]
    alone = {number: offset(TEXT, number)[0] for number in range(last + 1)}
    known = (0, 0)
    for number in numbers:
        found, known = offset(TEXT, number, known)
        assert found == alone[number], number
    assert TEXT[alone[0] :].startswith("define")
    assert sorted(alone.values()) == list(alone.values())
