"""What is queued is done in order, and a refusal belongs to the step that asked for it."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from netlab.errors import KernelRefused
from netlab.kernel.acts import Op, perform, refused, send
from netlab.kernel.options import OPTIONS
from tests.kernel.test_wire import ACCEPTED, NO_SUCH_DEVICE, UNKNOWN_KIND, Line, line, numbered

__all__ = ["line"]


def said(failure: KernelRefused) -> tuple[object, int, str, str, str]:
    return failure.token, failure.errno, failure.said, str(failure), failure.hint


def message(token: object, *, deletes: bool = False, option: str = "") -> Op:
    return Op(token, (16, 0, b""), deletes, option)


def test_the_first_refusal_is_raised_after_everything_has_been_sent(line: Line) -> None:
    line.far.send(numbered(NO_SUCH_DEVICE, 2) + numbered(UNKNOWN_KIND, 3) + numbered(ACCEPTED, 4))
    with pytest.raises(KernelRefused) as failure:
        send([message(n) for n in "abcd"], line.near)
    assert said(failure.value) == (
        "b", errno.ENODEV, "No such device", "the kernel refused: No such device [ENODEV]", "",
    )  # fmt: skip
    assert len(line.asked()) == 4


def test_deleting_what_is_not_there_is_done_and_the_next_refusal_counts(line: Line) -> None:
    line.far.send(numbered(NO_SUCH_DEVICE, 1) + numbered(UNKNOWN_KIND, 2))
    with pytest.raises(KernelRefused) as failure:
        send([message("gone", deletes=True), message("next", deletes=True)], line.near)
    assert (failure.value.token, failure.value.errno) == ("next", errno.EOPNOTSUPP)


def test_words_of_its_own_stand_before_the_numbers(line: Line) -> None:
    line.far.send(numbered(UNKNOWN_KIND, 1))
    with pytest.raises(KernelRefused) as failure:
        send([message("a", option="CONFIG_BRIDGE")], line.near)
    assert said(failure.value) == (
        "a", errno.EOPNOTSUPP, "Unknown device type",
        "the kernel refused: Unknown device type (Operation not supported) [EOPNOTSUPP]",
        "this kernel lacks CONFIG_BRIDGE?",
    )  # fmt: skip


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EINVAL, errno.EPERM, errno.ENODEV])
def test_no_option_is_missing_where_the_kernel_knows_the_thing(number: int) -> None:
    assert refused("a", number, "no", "CONFIG_BRIDGE").hint == ""


def test_a_number_that_linux_does_not_name_is_left_out() -> None:
    assert str(refused("a", 0, "nobody knows")) == "the kernel refused: nobody knows"


def test_calls_and_messages_keep_their_order(line: Line) -> None:
    order: list[object] = []
    line.far.send(numbered(ACCEPTED, 2))
    line.far.send(numbered(ACCEPTED, 1))
    ops = [
        Op(1, lambda: order.append("call")),
        message(2),
        message(3),
        Op(4, lambda: order.append([number for *_, number, _ in line.asked()])),
        message(5),
    ]
    perform(ops, line.near)
    order.append([number for *_, number, _ in line.asked()])
    assert order == ["call", [1, 2], [1]]


def test_a_call_that_fails_stops_what_is_behind_it() -> None:
    order: list[str] = []
    ops = [
        Op("gone", lambda: os.rmdir("/proc/self/there-is-no-such-thing"), deletes=True),
        Op("bad", lambda: os.rmdir("/proc/self/there-is-no-such-thing"), option="CONFIG_TUN"),
        Op("never", lambda: order.append("never")),
    ]
    with pytest.raises(KernelRefused) as failure:
        perform(ops, None)
    assert said(failure.value) == (
        "bad", errno.ENOENT, "No such file or directory",
        "the kernel refused: No such file or directory [ENOENT]", "this kernel lacks CONFIG_TUN?",
    )  # fmt: skip
    assert order == []


def test_a_bug_is_not_a_refusal() -> None:
    with pytest.raises(ZeroDivisionError):
        perform([Op("a", lambda: 1 // 0, deletes=True)], None)


def test_every_option_is_one_of_a_kernels_configuration() -> None:
    assert all(option.startswith("CONFIG_") for option in OPTIONS.values())


def test_the_socket_speaks_in_the_kernels_own_words() -> None:
    from netlab.kernel.wire import SOL_NETLINK, open_socket

    with open_socket() as sock:
        assert sock.family == socket.AF_NETLINK
        assert [sock.getsockopt(SOL_NETLINK, option) for option in (10, 11)] == [1, 1]
