"""Regular expressions of a filter, bounded: none of them can hold the screen up.

The standard library cannot stop a search that has begun, and a short expression can make one last
for years. ``regex`` can, at every step of a search; what it does not bound is how large an
expression grows when it is compiled, so that is refused here before.
"""

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

LONGEST = 200
"""Characters of one expression."""
MOST_COPIES = 1_000
"""Repetitions within repetitions: ``(a{30}){30}`` is 900 copies."""
LOOK_S = 0.05
"""All searches of one look at all rows take no longer than this."""

_COUNTS = re.compile(r"\{(\d*)(?:,(\d*))?\}")


class PatternError(ValueError):
    """No regular expression that can be used; the message is for the person who typed it."""


class SlowPattern(Exception):
    """The searches of one look took all the time that there is for them."""


class Budget:
    """The time that the expressions of one filter have for one look at all rows."""

    def __init__(self, seconds: float = LOOK_S) -> None:
        self.seconds = seconds
        self.searches = 0
        self._left = seconds

    def begin(self) -> None:
        """A new look begins."""
        self._left = self.seconds
        self.searches = 0

    def search(self, pattern: "regex.Pattern[str]", text: str) -> bool:
        """Whether ``pattern`` is somewhere in ``text``. Raises SlowPattern."""
        if self._left <= 0:
            raise SlowPattern
        self.searches += 1
        begun = time.perf_counter()
        try:
            return pattern.search(text, timeout=self._left, concurrent=False) is not None
        except TimeoutError:
            self._left = 0.0
            raise SlowPattern from None
        except (MemoryError, RecursionError):
            self._left = 0.0
            raise SlowPattern from None
        finally:
            self._left -= time.perf_counter() - begun


def compiled(text: str) -> "regex.Pattern[str]":
    """Compile an expression, case ignored. Raises PatternError."""
    if len(text) > LONGEST:
        raise PatternError(f"a regular expression has at most {LONGEST} characters here")
    if _copies(text) > MOST_COPIES:
        raise PatternError(f"an expression repeats at most {MOST_COPIES} times here, all in all")
    import regex  # only who types an expression pays for it

    try:
        return regex.compile(text, regex.IGNORECASE)
    except regex.error as error:
        raise PatternError(f"not a regular expression: {error}") from None
    except (ValueError, OverflowError, RecursionError, MemoryError):
        raise PatternError("not a regular expression: it is too deep or too large") from None


def _copies(text: str) -> int:
    """At most so many copies of a part the compiler has to make: all counts multiplied."""
    copies = 1
    for least, most in _COUNTS.findall(text):
        copies *= max(1, *(int(count[:9]) for count in (least, most) if count), 1)
        if copies > MOST_COPIES:
            break
    return copies
