"""Sharing what is limited between users, so that one of them hides nothing of another."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    Item = TypeVar("Item")

SUBORDINATE = 65_536  # user ids from here on are handed out in ranges of that size


def group_of(uid: int) -> int:
    """The user id, or the first of its range: one user has a whole range of subordinate ids."""
    return uid if uid < SUBORDINATE else uid // SUBORDINATE * SUBORDINATE


def level(counts: Mapping[int, int], limit: int) -> int:
    """The most that each user may have so that all have no more than ``limit`` together."""
    left, users = limit, len(counts)
    for count in sorted(counts.values()):
        if count * users > left:
            return left // users
        left -= count
        users -= 1
    return limit


def in_turn(
    queues: dict[int, deque[Item]],
    visit: Callable[[Item], Item | None],
    clock: Callable[[], float],
    seconds: float,
) -> list[Item]:
    """Visit what is queued for each group until ``seconds`` have passed; what is left then.

    Next is always the group that took the least time so far. ``visit`` returns what is still to
    do of an item, which goes to the end of its queue, or None.
    """
    turns = [(0.0, group) for group, queue in queues.items() if queue]
    heapq.heapify(turns)
    now = clock()
    until = now + seconds
    while turns and now < until:
        spent, group = turns[0]
        queue = queues[group]
        rest = visit(queue.popleft())
        if rest is not None:
            queue.append(rest)
        began, now = now, clock()
        if queue:
            heapq.heapreplace(turns, (spent + now - began, group))
        else:
            heapq.heappop(turns)
    return [item for queue in queues.values() for item in queue]
