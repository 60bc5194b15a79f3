"""Format files and pages of records, as Documentation/trace tells and a kernel writes them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from netlab.trace.backends.tracefs import backend
from netlab.trace.tracefs import pages, symbols
from netlab.trace.tracefs.formats import Field, head, parse
from netlab.trace.tracefs.pages import Record, header_size, missed, records

TEXT = """\
name: kfree_skb
ID: 2310
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:__data_loc char[] name;\toffset:16;\tsize:4;\tsigned:0;
\tfield:char comm[8];\toffset:20;\tsize:8;\tsigned:0;
\tfield:__u8 saddr[4];\toffset:28;\tsize:4;\tsigned:0;
\tfield:int code;\toffset:32;\tsize:4;\tsigned:1;
\tfield:enum skb_drop_reason reason;\toffset:36;\tsize:4;\tsigned:0;

print fmt: "code=%d reason: %s", REC->code, __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, \
{ 0x3, "NO_SOCKET" }, { MAX, "MAX" })
"""


def test_a_record_is_read_as_its_format_says() -> None:
    found = parse(TEXT)
    assert (found.number, found.name) == (2310, "kfree_skb")
    assert found.fields[0] == Field("skbaddr", "number", 8, 8, False)
    data = struct.pack(
        "=HBBiQI8s4BiI", 2310, 0, 0, 77, 1 << 63, 5 << 16 | 40, b"python", 10, 0, 0, 1, -3, 3
    )
    data += b"eth0\0"
    assert head(data) == (2310, 77)
    assert found.read(data) == {
        "skbaddr": 1 << 63, "name": "eth0", "comm": "python", "saddr": bytes((10, 0, 0, 1)),
        "code": -3, "reason": "NO_SOCKET",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "name: x\n", "ID: 5\n", "nothing"])
def test_what_is_no_format_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no event is described here"):
        parse(text)


def event(delta: int, data: bytes) -> bytes:
    """Of no more than 112 bytes."""
    assert len(data) % 4 == 0
    return struct.pack("=I", delta << 5 | len(data) // 4) + data


def page(time: int, body: bytes, flags: int = 0, more: bytes = b"") -> bytes:
    return (struct.pack("=QQ", time, len(body) | flags) + body + more).ljust(4096, b"\0")


def test_times_add_up_and_may_be_far_apart() -> None:
    body = (
        event(5, b"aaaa")
        + struct.pack("=II", 7 << 5 | 30, 2)  # seven, and two times 2^27
        + event(1, b"bbbbbbbb")
        + struct.pack("=II", 3 << 5 | 31, 1)  # the time itself
        + event(0, b"cccc")
        + struct.pack("=II", 2 << 5, 124) + b"d" * 120  # a long one tells its length
        + struct.pack("=I", 29)  # nothing more
        + b"junk"
    )  # fmt: skip
    assert list(records(page(1000, body), 16)) == [
        Record(1005, b"aaaa"),
        Record(1005 + 7 + (2 << 27) + 1, b"bbbbbbbb"),
        Record((1 << 27) + 3, b"cccc"),
        Record((1 << 27) + 5, b"d" * 120),
    ]


def test_what_was_passed_over_is_passed_over() -> None:
    body = event(1, b"aaaa") + struct.pack("=II", 1 << 5 | 29, 8) + b"xxxx" + event(1, b"bbbb")
    assert [r.data for r in records(page(0, body), 16)] == [b"aaaa", b"bbbb"]


def test_losses_are_counted_where_the_kernel_did() -> None:
    body = event(1, b"aaaa")
    assert missed(page(0, body)) == 0
    assert missed(page(0, body, 1 << 31)) is None
    assert missed(page(0, body, 3 << 30, struct.pack("=Q", 42))) == 42


def test_where_records_begin_is_told_by_the_kernel() -> None:
    assert header_size("\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n") == 16
    with pytest.raises(ValueError, match="header_page"):
        header_size("")
    assert pages.header_size("field: char data; offset:20; size:1;") == 20


def test_places_have_names(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(
        "0000000000001000 T first\n0000000000002000 t second\n0000000000002800 d data\n"
        "0000000000003000 T third [module]\n"
    )
    assert symbols.names([0x2010, 0x2900, 0x3000, 0x500], str(file)) == {
        0x2010: "second+0x10", 0x2900: "second+0x900", 0x3000: "third+0x0",
    }  # fmt: skip
    file.write_text("0000000000000000 T first\n")
    assert symbols.names([0x2010], str(file)) == {}


def test_hidden_places_are_named_as_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kallsyms"
    monkeypatch.setattr(symbols, "KALLSYMS", str(file))
    assert symbols.obstacle() == f"{file}: No such file or directory (CONFIG_KALLSYMS)"
    assert symbols.names([0x2010]) == {}
    file.write_text("0000000000000000 T first\n0000000000000000 T second\n")
    assert symbols.obstacle() == f"{file} hides addresses (sysctl kernel.kptr_restrict, CAP_SYSLOG)"
    assert backend.lacks() == {"the function that lets a packet fall": symbols.obstacle()}
    assert symbols.names([0x2010]) == {}
    file.write_text("0000000000000000 A zero\n0000000000002000 T second\n")
    assert backend.lacks() == {}
