"""Messages of DNS against bytes that were written by hand, and such as no server should send."""

from __future__ import annotations

import struct

import pytest

from netlab.checks.dns import same
from netlab.checks.dns_message import Answer, answer, question

HEAD = "!HHHHHH"


def reply(*records: tuple[int, bytes], flags: int = 0x8180, number: int = 7) -> bytes:
    """To A? www.lan."""
    asked = b"\x03www\x03lan\x00" + struct.pack("!HH", 1, 1)
    tail = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for kind, data in records
    )
    return struct.pack(HEAD, number, flags, 1, len(records), 0, 0) + asked + tail


def test_a_question_is_what_the_standard_says() -> None:
    head = struct.pack(HEAD, 7, 0x0100, 1, 0, 0, 0)
    assert question("www.lan.", "AAAA", 7) == head + b"\x03www\x03lan\x00\x00\x1c\x00\x01"
    assert question(".", "NS", 7)[12:] == b"\x00\x00\x02\x00\x01"


def test_records_are_read_through_pointers() -> None:
    both = reply((5, b"\x01a\xc0\x10"), (1, bytes([10, 0, 0, 7])))
    assert answer(both, "A", 7) == Answer("answered", False, ("10.0.0.7",))
    assert answer(both, "CNAME", 7) == Answer("answered", False, ("a.lan",))
    assert answer(reply((15, b"\x00\x05\xc0\x0c")), "MX", 7) == Answer(
        "answered", False, ("5 www.lan",)
    )
    texts = reply((16, b"\x05hello\x01!"))
    assert answer(texts, "TXT", 7) == Answer("answered", False, ("hello!",))


@pytest.mark.parametrize(
    ("flags", "code"),
    [(0x8180, "empty"), (0x8183, "nxdomain"), (0x8185, "refused"), (0x8182, "servfail")],
)
def test_what_is_no_answer_has_a_name(flags: int, code: str) -> None:
    assert answer(reply(flags=flags), "A", 7) == Answer(code, False)


def test_what_is_cut_is_told_and_what_was_not_asked_is_nothing() -> None:
    assert answer(reply(flags=0x8380), "A", 7) == Answer("answered", True)
    assert answer(reply(), "A", 8) is None
    assert answer(question("www.lan", "A", 7), "A", 7) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0\7",
        reply((1, b"\x0a"))[:-4],
        reply((5, b"\xc0\x25")),  # a pointer to itself
    ],
)
def test_what_is_broken_is_an_error_and_no_loop(data: bytes) -> None:
    with pytest.raises(ValueError):
        answer(data, "CNAME", 7)


def test_answers_are_all_of_them_in_any_order() -> None:
    assert same(["10.0.0.0/24", "10.0.0.1"], ["10.0.0.1", "10.0.0.9"])
    assert same(["FD00:0::1", "Www.lan."], ["www.LAN", "fd00::1"])
    assert not same(["10.0.0.1"], ["10.0.0.1", "10.0.0.2"])
    assert not same(["10.0.0.1", "10.0.0.1"], ["10.0.0.1"])
    assert not same(["10.0.0.0/24"], ["mail.lan"])
