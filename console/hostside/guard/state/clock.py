"""Time by the host's clock, which may be set: what may not be revived, and what must still end."""

from __future__ import annotations

import time

from ..refused import Refused
from .files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BACK_S = 120  # how far the clock may go back
STEP_S = 120  # how far it may go away from the time since boot before that is told
KEEP_S = 5  # the mark is written again when it is older


class Clock:
    """Two clocks and the boot they belong to: ``now`` in whole seconds since the epoch, which
    may be set, and ``since_boot``, which may not. Deadlines hold both."""

    def __init__(self, boot_id: str) -> None:
        self.boot_id = boot_id

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(time.time())

    def since_boot(self) -> float:
        """Seconds since boot, with those asleep."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def deadline(self, seconds: int) -> dict[str, Any]:
        """A point that many seconds from now; 0 seconds is no deadline."""
        if not seconds:
            return {}
        until = self.since_boot() + seconds
        return {"at": self.now() + seconds, "boot": self.boot_id, "until": round(until, 3)}

    def over(self, deadline: dict[str, Any], at_reboot: bool) -> bool:
        """Whether it has passed; a reboot since then counts as ``at_reboot`` says: passed, or
        by the clock that may be set."""
        if not deadline:
            return False
        if deadline["boot"] == self.boot_id:
            return bool(self.since_boot() >= deadline["until"])
        return at_reboot or self.now() >= int(deadline["at"])

    def left(self, deadline: dict[str, Any]) -> int:
        """Whole seconds until it, at least 1; by the time since boot where it is of this boot."""
        if deadline["boot"] == self.boot_id:
            return max(1, int(deadline["until"] - self.since_boot()))
        return max(1, int(deadline["at"]) - self.now())


class Mark:
    """The latest time that this guard has seen, in a file. A clock set back revives nothing."""

    def __init__(self, path: str, files: Files, clock: Clock) -> None:
        self.path = path
        self.files = files
        self.clock = clock

    def _read(self) -> dict[str, Any]:
        try:
            return self.files.read_json(self.path, 4096)
        except FileNotFoundError:
            return {}

    def check(self) -> int:
        """Raise Refused where the clock went back. Moves the mark; the seconds by which the
        clock ran away from the time since boot, 0 where it did not."""
        clock, mark = self.clock, self._read()
        now, since = clock.now(), clock.since_boot()
        high = int(mark.get("high", 0))
        if now < high - BACK_S:
            raise Refused(
                "clock-back",
                f"the host's clock is {high - now} s behind the latest time that its guard saw",
                "set the clock right; if the later time was wrong, as root: guard clock-reset",
            )
        away = 0
        if mark.get("boot") == clock.boot_id:
            away = int((now - int(mark["now"])) - (since - float(mark["since"])))
        if now >= high + KEEP_S or not mark or abs(away) > STEP_S:
            self._write(max(now, high))
        return away if abs(away) > STEP_S else 0

    def _write(self, high: int) -> None:
        clock = self.clock
        self.files.write_json(
            self.path,
            {"high": high, "now": clock.now(), "since": clock.since_boot(), "boot": clock.boot_id},
        )

    def reset(self) -> int:
        """Take the present time for the latest; the mark of before. Root's own act."""
        before = int(self._read().get("high", 0))
        self._write(self.clock.now())
        return before


def boot_id(path: str) -> str:
    """The id of this boot, as the kernel or a base folder says it."""
    try:
        with open(path, encoding="ascii") as handle:
            found = handle.read(64).strip()
    except (OSError, ValueError):
        found = ""
    if len(found) != 36 or found.strip("0123456789abcdef-"):
        raise Refused("boot-id", f"the id of this boot cannot be read from {path}")
    return found
