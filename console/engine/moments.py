"""Moments of a recording as a person writes them: ``+30s``, ``0:20``, ``12:30:05``, ``50%``."""

import calendar
import math
import re
import time
from datetime import UTC, datetime

from console.errors import UsageError
from console.text import clean

FORMS = "+30s, -1m, 0:20 from the begin, 12:30:05 (UTC), 2026-05-01T12:30:05, 50%, start or end"
SLOWEST = 0.1
FASTEST = 100.0
"""Paces of a replay: recorded seconds a second."""
DAY_S = 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600}
_shift = re.compile(r"([+-])([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)").fullmatch
_clock = re.compile(r"([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9]))?(Z?)").fullmatch
_share = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%").fullmatch


def moment(text: str, begin: float, end: float, position: float) -> float:
    """The moment that ``text`` means in a recording from ``begin`` to ``end``.

    ``12:30`` is a time of day (UTC), the first such one in the recording; where the recording has
    none, it is so long after its begin, as the bar of a replay counts. Steps and shares end at the
    ends of the recording. Raises UsageError for what is no moment, or none of this recording.
    """
    typed = text.strip()
    if typed.lower() in ("start", "end"):
        return begin if typed.lower() == "start" else end
    if match := _shift(typed):
        by = float(match[2]) * _UNITS[match[3] or "s"]
        return min(max(position + (by if match[1] == "+" else -by), begin), end)
    if match := _share(typed):
        return min(begin + (end - begin) * float(match[1]) / 100, end)
    match = _clock(typed)
    found = _clock_or_length(match, begin, end) if match else _date(typed, begin)
    if found is None or not math.isfinite(found):
        raise UsageError(f"{clean(typed, 40)!r} is no moment", hint=f"Write {FORMS}.")
    if not math.floor(begin) <= found <= end:
        raise UsageError(
            f"{clean(typed, 40)!r} is outside the recording",
            hint=f"It goes from {_long_words(begin)} to {_long_words(end)} UTC and is "
            f"{length_words(end - begin)} long.",
        )
    return max(found, begin)


def _clock_or_length(match: re.Match[str], begin: float, end: float) -> float:
    """A time of day within the recording, else a length from its begin; else outside of it."""
    first, second, third = int(match[1]), int(match[2]), match[3]
    of_day = first * 3600 + second * 60 + int(third or 0)
    at = begin // DAY_S * DAY_S + of_day
    if third is None and at <= begin < at + 60:
        return begin  # the minute in which it begins
    if at < math.floor(begin):
        at += DAY_S
    if of_day < DAY_S and at <= end:
        return at
    length = of_day if third is not None else first * 60 + second
    return at if match[4] and of_day < DAY_S else begin + length


def _date(typed: str, begin: float) -> float | None:
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", typed):
        return None
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    found = float(calendar.timegm(at.utctimetuple()))
    whole_day = len(typed) == len("2026-05-01")
    return begin if whole_day and found <= begin < found + DAY_S else found


def _long_words(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def clock_words(at: float) -> str:
    """A moment as ``12:30:05``, in UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(at))


def length_words(seconds: float) -> str:
    """A length as ``1:02:05`` or ``2:05``."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
