"""Packets of several interfaces come out in one order of time."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from netlab.kernel.ring import Frame
from netlab.trace.order import Order


def seen(time: int, ring: int = 0) -> Frame:
    return time, ring, 0, 1, b"x"


def test_what_may_still_be_preceded_is_held_back() -> None:
    order = Order()
    order.add([seen(10), seen(30)])
    assert order.release(5) == []
    order.add([seen(20, 1), seen(40, 1)])
    assert order.release(30) == [seen(10), seen(20, 1), seen(30)]
    assert order.holds
    assert order.release() == [seen(40, 1)]
    assert not order.holds
    assert order.late == 0


def test_what_comes_too_late_is_counted() -> None:
    order = Order()
    order.add([seen(10), seen(30)])
    assert order.release(30) == [seen(10), seen(30)]
    order.add([seen(30, 1), seen(20, 1), seen(5, 1), seen(31, 1)])
    assert order.release(31) == [seen(5, 1), seen(20, 1), seen(30, 1), seen(31, 1)]
    assert order.late == 2
    order.add([seen(30)])
    assert order.release(100) == [seen(30)]
    assert order.late == 3


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(some.lists(some.integers(0, 200), max_size=30), max_size=4), some.data())
def test_however_they_come_they_go_in_order(rings: list[list[int]], data: some.DataObject) -> None:
    """Each ring gives its packets in order, and what it still has is known to be later."""
    order, told = Order(), []
    waiting = [[seen(time, n) for time in sorted(times)] for n, times in enumerate(rings)]
    everything = sorted(frame for frames in waiting for frame in frames)
    while any(waiting):
        for frames in waiting:
            some_of_them = data.draw(some.integers(0, len(frames)))
            order.add(frames[:some_of_them])
            del frames[:some_of_them]
        told += order.release(min((frames[0][0] - 1 for frames in waiting if frames), default=200))
        if data.draw(some.booleans()) and any(waiting):
            for frames in waiting:
                order.add(frames[:1])
                del frames[:1]
    told += order.release()
    assert told == everything
    assert order.late == 0
