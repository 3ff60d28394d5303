"""Moments of a recording as a person writes them: ``+30s``, ``-1m``, ``12:30:05``, ``50%``."""

import calendar
import math
import re
import time
from datetime import UTC, datetime

from console.errors import UsageError
from console.text import clean

FORMS = "+30s, -1m, 12:30:05 (UTC), 2026-05-01T12:30:05, 50%, start or end"
DAY_S = 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600}
_shift = re.compile(r"([+-])([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)").fullmatch
_clock = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?Z?").fullmatch
_share = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%").fullmatch


def moment(text: str, begin: float, end: float, position: float) -> float:
    """The moment that ``text`` means in a recording from ``begin`` to ``end``, within them.

    A time of day is UTC and the first such time in the recording, or the one nearest to it.
    Raises UsageError for what is none.
    """
    typed = text.strip()
    found: float | None
    if typed.lower() in ("start", "end"):
        found = begin if typed.lower() == "start" else end
    elif match := _shift(typed):
        by = float(match[2]) * _UNITS[match[3] or "s"]
        found = position + (by if match[1] == "+" else -by)
    elif match := _share(typed):
        found = begin + (end - begin) * float(match[1]) / 100
    elif match := _clock(typed):
        found = _time_of_day(int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0), begin)
        if found > end and abs(found - DAY_S - begin) < found - end:
            found -= DAY_S
    else:
        found = _date(typed)
    if found is None or not math.isfinite(found):
        raise UsageError(f"{clean(typed, 40)!r} is no moment", hint=f"Write {FORMS}.")
    return min(max(found, begin), end)


def _time_of_day(second: int, begin: float) -> float:
    midnight = begin // DAY_S * DAY_S
    at = midnight + second
    return at if at >= math.floor(begin) else at + DAY_S


def _date(typed: str) -> float | None:
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", typed):
        return None
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return float(calendar.timegm(at.utctimetuple()))


def clock_words(at: float) -> str:
    """A moment as ``12:30:05``, in UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(at))


def length_words(seconds: float) -> str:
    """A length as ``1:02:05`` or ``2:05``."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
