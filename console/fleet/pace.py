"""How fast a host may speak, and how long the console waits before it tries again."""

import random

FRAMES_S = 20.0
"""Frames a second that a host may send for long. A focused probe sends two or three."""
BURST = 200.0
"""Frames at once: a keyframe of the largest tables and a journal that waited are below this."""
BYTES_A_TOKEN = 64 * 1024
"""A long frame costs as many tokens as it has pieces of this size (20 tokens/s: 1.25 MiB/s)."""
EVENTS_A_TOKEN = 100
TOKENS_A_SECOND = 1000.0
"""Tokens for a second spent on reading: a host may cost 2% of a core for long."""
GIVE_UP_S = 30.0
"""A host that is over its rate for this long in a row is dropped."""

FIRST_S = 1.0
LONGEST_S = 300.0


class TokenBucket:
    """Tokens that grow with time. A cost may lead into debt, so a long frame is read but paid."""

    __slots__ = ("_at", "burst", "rate", "tokens")

    def __init__(self, now: float, rate: float = FRAMES_S, burst: float = BURST) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self._at = now

    def ready(self, now: float) -> bool:
        """True when something may be taken now."""
        if now > self._at:
            self.tokens = min(self.burst, self.tokens + (now - self._at) * self.rate)
            self._at = now
        return self.tokens > 0

    def pay(self, cost: float) -> None:
        """Take ``cost`` tokens."""
        self.tokens -= cost


def frame_cost(size: int, events: int, seconds: float) -> float:
    """Tokens for a frame of ``size`` bytes with ``events`` events that took so long to read."""
    return 1.0 + size / BYTES_A_TOKEN + events / EVENTS_A_TOKEN + seconds * TOKENS_A_SECOND


def backoff(failures: int, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row (1 and more).

    Exponential with full jitter: anywhere between one second and the ceiling, which doubles from
    two seconds to five minutes. So a fleet that went away together does not come back together.
    """
    ceiling = min(LONGEST_S, 2.0 * FIRST_S * 2.0 ** min(max(failures, 1) - 1, 16))
    return rng.uniform(FIRST_S, ceiling)
