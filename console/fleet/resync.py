"""How often a host may make the console ask for everything again."""

from collections import deque

from console.errors import ProtocolError

LEAST_S = 5.0
MOST = 6
WITHIN_S = 300.0


class Resyncs:
    """Spaces requests for keyframes, and gives up on a host that never agrees with itself."""

    def __init__(self) -> None:
        self._asked: deque[float] = deque(maxlen=MOST)

    def wanted(self, now: float, reason: str) -> bool:
        """True when a keyframe should be asked for at ``now``.

        Raises ProtocolError when that was needed ``MOST`` times within ``WITHIN_S``.
        """
        if self._asked and now - self._asked[-1] < LEAST_S:
            return False
        if len(self._asked) == MOST and now - self._asked[0] < WITHIN_S:
            self._asked.clear()
            raise ProtocolError(
                f"disagreed with its own tables {MOST} times within {WITHIN_S:.0f} s ({reason})",
                hint="no probe does that for long: look at that host",
            )
        self._asked.append(now)
        return True
