"""The environment is input: what of it may reach the library that draws.

``TEXTUAL_PRESS`` types keys, ``TEXTUAL_DRIVER`` imports code. Call ``scrub`` before ``textual`` is
imported for the first time, because its constants are read then.
"""

import locale
import os
from collections.abc import Mapping, MutableMapping

_NO_COLOURS = ("vt100", "vt102", "vt220", "vt320")
ALLOWED = ("TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS")


def scrub(env: MutableMapping[str, str]) -> None:
    """Remove every variable of the library that is not known to be harmless."""
    for name in [name for name in env if name.startswith("TEXTUAL")]:
        if name not in ALLOWED:
            del env[name]
    if not env.get("NO_COLOR", "set"):  # empty counts as not set; the library thinks otherwise
        del env["NO_COLOR"]


def colourless(env: Mapping[str, str] = os.environ) -> bool:
    """True when the person asked for no colours (no-color.org)."""
    return bool(env.get("NO_COLOR"))


def colours(env: Mapping[str, str] = os.environ) -> int:
    """How many colours the terminal has: 0, 16, 256 or 16,777,216.

    The same rules as those of the library that writes to it, and terminals that have none.
    """
    asked = {"standard": 16, "256": 256, "truecolor": 1 << 24}
    given = env.get("TEXTUAL_COLOR_SYSTEM", "auto")
    if given in asked:
        return asked[given]
    if env.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return 1 << 24
    name, _, ending = env.get("TERM", "").strip().lower().rpartition("-")
    if ending in ("256color", "kitty"):
        return 256
    if (name and ending in ("mono", "m")) or (name or ending) in _NO_COLOURS:
        return 0
    return 16


def fitting_theme(env: Mapping[str, str] = os.environ) -> str:
    """Name of the shipped theme that this terminal shows best."""
    many = colours(env)
    if colourless(env) or many == 0:
        return "mono"
    if many <= 16:
        return "ansi16"
    ground = env.get("COLORFGBG", "").rpartition(";")[2]  # set by terminals that tell their own
    return "light" if ground in ("7", "15") else "dark"


def reduced_motion(env: Mapping[str, str] = os.environ) -> bool:
    """True when the person asked for nothing that moves by itself."""
    return env.get("TEXTUAL_ANIMATIONS", "").lower() == "none"


def plots(asked: str = "auto", env: Mapping[str, str] = os.environ) -> str:
    """What history is drawn with: ``asked``, or blocks where the terminal has no braille."""
    if asked == "auto" and env.get("TERM", "") in ("linux", "cons25", "wsvt25"):
        return "block"  # consoles of the kernel draw with a font of at most 512 signs
    return asked


def ascii_only(env: Mapping[str, str] = os.environ) -> bool:
    """True when the person's locale has no block characters.

    Python turns the locale C into C.UTF-8 for itself, in the environment too, so that its own
    answer says nothing about the terminal: what the person set is looked at first.
    """
    given = env.get("LANG", "")
    ctype = env.get("LC_CTYPE", "")
    coerced = ctype == "C.UTF-8" and given in ("C", "POSIX")
    name = env.get("LC_ALL") or ("" if coerced else ctype) or given
    if name in ("C", "POSIX"):
        return True
    charset = name.partition(".")[2].partition("@")[0] or locale.getpreferredencoding(False)
    return "utf" not in charset.lower()
