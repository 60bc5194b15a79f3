"""Batches and lists on a netlink socket, whose other end speaks what a Linux 6.18 has said.

A socketpair stands for the socket: what the kernel will say lies ready before it is asked.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel import wire
from netlab.kernel.acts import ABSENT
from netlab.kernel.wire import SEND_LIMIT, Request, Said, dump, transact
from tests.kernel.messages import several

PORT = 24938
"""The socket's number in what was recorded."""

ACCEPTED = bytes.fromhex(
    "2400000002000001070000006a610000" "00000000" "20000000130005000700000000000000"
)
NO_SUCH_DEVICE = bytes.fromhex(
    "2400000002000001070000006a610000" "edffffff" "20000000110005000700000000000000"
)
UNKNOWN_KIND = bytes.fromhex(
    "3c00000002000003070000006a610000" "a1ffffff" "30000000100005060700000000000000"
    "18000100556e6b6e6f776e20646576696365207479706500"
)
UNKNOWN_KIND_AND_THE_WHOLE_REQUEST = bytes.fromhex(
    "5c00000002000002070000006a610000" "a1ffffff" "30000000100005060700000000000000"
    "00000000000000000000000000000000" "100012000b0001006e6f737563680000"
    "18000100556e6b6e6f776e20646576696365207479706500"
)
END_OF_LIST = bytes.fromhex("1400000003000200010000006a610000" "00000000")

UNKNOWN = "Unknown device type"


class Line(NamedTuple):
    """Both ends: netlab's, and the kernel's."""

    near: socket.socket
    far: socket.socket

    def asked(self) -> list[tuple[int, int, int, bytes]]:
        """Type, flags, number and body of each message of the next send."""
        data, found = self.far.recv(1 << 17), []
        while data:
            length, kind, flags, number, _ = struct.unpack_from("=IHHII", data)
            found.append((kind, flags, number, data[16:length]))
            data = data[length:]
        return found


@pytest.fixture
def line() -> Iterator[Line]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (near, far):
        end.settimeout(5)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with near, far:
        yield Line(near, far)


def numbered(answer: bytes, number: int) -> bytes:
    return answer[:8] + struct.pack("=I", number) + answer[12:]


REQUESTS: list[Request] = [(16, 0x600, b"aaaa"), (19, 0, b"bbbbbbbb"), (20, 0x600, b"cccc")]


def test_only_the_last_of_a_batch_asks_for_an_answer(line: Line) -> None:
    line.far.send(numbered(ACCEPTED, 3))
    assert list(transact(line.near, REQUESTS)) == []
    assert line.asked() == [
        (16, 0x601, 1, b"aaaa"), (19, 0x001, 2, b"bbbbbbbb"), (20, 0x605, 3, b"cccc")
    ]


def test_nothing_is_sent_for_nothing(line: Line) -> None:
    assert list(transact(line.near, [])) == []
    line.far.setblocking(False)
    with pytest.raises(BlockingIOError):
        line.far.recv(1)


@pytest.mark.parametrize("answer", [UNKNOWN_KIND, UNKNOWN_KIND_AND_THE_WHOLE_REQUEST])
def test_a_refusal_has_its_place_its_number_and_the_kernels_words(
    line: Line, answer: bytes
) -> None:
    line.far.send(numbered(answer, 2))
    line.far.send(numbered(ACCEPTED, 3))
    assert list(transact(line.near, REQUESTS)) == [Said(1, errno.EOPNOTSUPP, UNKNOWN)]


def test_refusals_come_in_one_piece_or_in_several_and_the_last_may_be_one(line: Line) -> None:
    line.far.send(numbered(NO_SUCH_DEVICE, 1) + numbered(UNKNOWN_KIND, 2))
    line.far.send(numbered(NO_SUCH_DEVICE, 3))
    assert list(transact(line.near, REQUESTS)) == [
        Said(0, errno.ENODEV, "No such device"),
        Said(1, errno.EOPNOTSUPP, UNKNOWN),
        Said(2, errno.ENODEV, "No such device"),
    ]


def test_a_kernel_without_words_is_quoted_by_its_number(line: Line) -> None:
    for number, answer in enumerate((NO_SUCH_DEVICE, _without_text(UNKNOWN_KIND)), 1):
        line.far.send(numbered(answer, number))
    line.far.send(numbered(ACCEPTED, 3))
    assert [said.words for said in transact(line.near, REQUESTS)] == [
        "No such device", "Operation not supported",
    ]  # fmt: skip


def _without_text(answer: bytes) -> bytes:
    """The extended part holds another attribute (NLMSGERR_ATTR_OFFS) instead of the text."""
    return struct.pack("=I", 44) + answer[4:36] + struct.pack("=HHI", 8, 2, 16)


@several
@given(st.binary(max_size=40))
def test_a_broken_extended_answer_is_still_a_refusal(tail: bytes) -> None:
    data = struct.pack("=I", 36 + len(tail)) + UNKNOWN_KIND[4:36] + tail
    number = errno.EOPNOTSUPP
    assert isinstance(wire._words(data, 0, len(data), 0x300, number), str)


@several
@given(st.lists(st.integers(0, 3000).map(lambda words: (1, 0, bytes(4 * words))), max_size=60))
def test_batches_are_as_large_as_fits_and_keep_the_order(requests: list[Request]) -> None:
    chunks = list(wire._chunks(requests))
    sizes = [sum(len(body) + 16 for _, _, body in chunk) for _, chunk in chunks]
    assert [request for _, chunk in chunks for request in chunk] == requests
    assert [first for first, _ in chunks] == [
        sum(len(chunk) for _, chunk in chunks[:n]) for n in range(len(chunks))
    ]
    assert all(size <= SEND_LIMIT for size in sizes)
    for size, (_, following) in zip(sizes, chunks[1:], strict=False):
        assert size + 16 + len(following[0][2]) > SEND_LIMIT


def test_a_refusal_in_a_second_send_has_its_place_in_the_whole(line: Line) -> None:
    large: list[Request] = [(16, 0, bytes(60_000))] * 3
    for number in (1, 2):
        line.far.send(numbered(ACCEPTED, number))
    line.far.send(numbered(NO_SUCH_DEVICE, 3))
    answers = transact(line.near, large)
    assert [said.place for said in answers] == [2]
    asked = [[(kind, flags, number) for kind, flags, number, _ in line.asked()] for _ in large]
    assert asked == [[(16, 5, 1)], [(16, 5, 2)], [(16, 5, 3)]]


def test_a_request_larger_than_a_send_goes_alone() -> None:
    huge: Request = (16, 0, bytes(2 * SEND_LIMIT))
    small: Request = (16, 0, b"")
    assert [len(c) for _, c in wire._chunks([small, huge, small])] == [1, 1, 1]


# lists


def item(flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), 16, 2 | flags, 1, PORT) + body


INTERRUPTED = 0x10


def test_a_list_is_read_to_its_end(line: Line) -> None:
    line.far.send(item(0, b"lo  ") + item(0, b"eth0"))
    line.far.send(item(0, b"eth1") + END_OF_LIST)
    assert dump(line.near, 18, b"what") == [item(0, name) for name in (b"lo  ", b"eth0", b"eth1")]
    assert line.asked() == [(18, 0x301, 1, b"what")]


@pytest.mark.parametrize("broken", [
    [item(0, b"eth0") + item(INTERRUPTED, b"eth1"), END_OF_LIST],
    [item(0, b"eth0"), END_OF_LIST[:6] + struct.pack("=H", 2 | INTERRUPTED) + END_OF_LIST[8:]],
])  # fmt: skip
def test_a_list_that_changed_meanwhile_is_read_again(line: Line, broken: list[bytes]) -> None:
    for data in (*broken, item(0, b"eth9"), END_OF_LIST):
        line.far.send(data)
    assert dump(line.near, 18, b"") == [item(0, b"eth9")]
    assert [line.asked(), line.asked()] == [[(18, 0x301, 1, b"")]] * 2


def test_a_list_that_never_holds_still_is_given_up(line: Line) -> None:
    for _ in range(3):
        line.far.send(item(INTERRUPTED, b"eth0") + END_OF_LIST)
    with pytest.raises(OSError, match="kept changing") as refusal:
        dump(line.near, 18, b"", tries=3)
    assert refusal.value.errno == errno.EAGAIN


@pytest.mark.parametrize("answer", [
    numbered(UNKNOWN_KIND, 1),
    item(0, b"eth0") + END_OF_LIST[:16] + struct.pack("=i", -errno.EOPNOTSUPP),
])  # fmt: skip
def test_a_list_that_is_refused_is_not_an_empty_one(line: Line, answer: bytes) -> None:
    line.far.send(answer)
    with pytest.raises(OSError) as refusal:
        dump(line.near, 18, b"")
    assert refusal.value.errno == errno.EOPNOTSUPP


def test_what_is_absent_does_not_need_to_be_deleted() -> None:
    assert {errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL} < ABSENT
    assert not ABSENT & {errno.EPERM, errno.EBUSY, errno.EINVAL, errno.EOPNOTSUPP}
