"""Numbers that a person types, read back in the unit in which the screen prints them."""

import re
from typing import NamedTuple

TEXT = "text"
"""The unit of what is no number."""
YES_NO = "yes"
MOMENT = "at"
"""The unit of a moment: seconds since the epoch."""
RATE = "B/s"

_NUMBER = re.compile(r"([+-]?[0-9]+(?:\.([0-9]+))?)(.*)")
_POWERS = {letter: 1024.0**power for power, letter in enumerate("bkmgtp")}
_KNOWN = {
    "": {"": 1.0},
    "%": {"": 1.0, "%": 1.0},
    "W": {"": 1.0, "w": 1.0, "k": 1e3, "kw": 1e3},
    "C": {"": 1.0, "c": 1.0, "°": 1.0, "°c": 1.0},
    "s": {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    MOMENT: {"": 1.0},
}
"""By unit of a field: what may stand behind a number, and how many of that unit it is."""
_EXAMPLE = {"": "3", "%": "50%", "W": "300W or 1.5kW", "C": "80", "s": "90s, 5m, 2h or 1d",
            "B": "100K, 1.5M or 2G", MOMENT: "1700000000 (seconds since 1970)"}  # fmt: skip


class UnitError(ValueError):
    """No number of that unit; the message is for the person who typed it."""


class Amount(NamedTuple):
    """A number, and by how much others may differ that are printed the same."""

    value: float
    slack: float = 0.0


def amount(text: str, unit: str) -> Amount:
    """The number that ``text`` means in ``unit``.

    A unit is "" (a count), "%", "W", "C", "s" (a time), "at" (a moment), "B", "K" or "M" (an amount
    of bytes, KiB or MiB; 1K is 1024 bytes and a bare number means bytes), "B/s" (the same in a
    second), or "yes" (yes is 1, no is 0). Raises UnitError.
    """
    unit = "B" if unit == RATE else unit
    if unit == YES_NO:
        if text.lower() not in ("yes", "no"):
            raise UnitError("say yes or no")
        return Amount(float(text.lower() == "yes"))
    found = _NUMBER.fullmatch(text)
    if found:
        times = _times(found[3].lower(), unit)
        if times is not None:
            last = 10.0 ** -len(found[2] or "")
            return Amount(float(found[1]) * times, last * times / 2)
    sizes = "B" if unit in ("B", "K", "M") else unit
    raise UnitError(f"not a number that this field can have, say {_EXAMPLE[sizes]}")


def _times(behind: str, unit: str) -> float | None:
    if unit not in ("B", "K", "M"):
        return _KNOWN[unit].get(behind)
    letter = re.sub(r"(?<=[kmgtp])i?b$", "", behind.removesuffix("/s")) or "b"
    power = _POWERS.get(letter)
    return None if power is None else power / _POWERS[unit.lower()]
