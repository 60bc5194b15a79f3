"""From state to state, until every frame has met its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from netlab.trace.explain import ethernet, internet, sockets
from netlab.trace.explain.story import Arrive, Fate, Leave, Next, Send, Story, Taken, Up

MOST = 20_000
"""States of one leg; a segment with a circle and no STP never comes to rest."""
GOES_ON: Mapping[type, Callable[[Story, Any], list[Next]]] = {
    Send: internet.send,
    Leave: ethernet.leave,
    Arrive: ethernet.arrive,
    Up: internet.receive,
    Taken: sockets.deliver,
}


def run(story: Story, states: list[Next]) -> list[Fate]:
    """All ends that a packet and its copies come to."""
    fates: list[Fate] = []
    waiting = deque(states)
    steps = 0
    while waiting:
        state = waiting.popleft()
        steps += 1
        if isinstance(state, Fate):
            fates.append(state)
        elif steps > MOST:
            story.gap("frames go in circles on a segment: bridges form a loop, and STP is off")
            break
        elif not _again(story, state):
            waiting.extend(GOES_ON[type(state)](story, state))
    return fates


def _again(story: Story, state: Next) -> bool:
    """Whether the very same frame has come the same way before: a circle of bridges."""
    if not isinstance(state, Arrive) or type(state) is not Arrive:
        return False
    place = (state.node, state.device, replace(state.packet, mark=0))
    if place in story.met:
        story.gap("frames go in circles on a segment: bridges form a loop, and STP is off")
        return True
    story.met.add(place)
    return False
