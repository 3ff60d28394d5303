"""The environment is input: what of it may reach the library that draws.

``TEXTUAL_PRESS`` types keys, ``TEXTUAL_DRIVER`` imports code. Call ``scrub`` before ``textual`` is
imported for the first time, because its constants are read then.
"""

import locale
import os
from collections.abc import Mapping, MutableMapping

ALLOWED = ("TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS")


def scrub(env: MutableMapping[str, str]) -> None:
    """Remove every variable of the library that is not known to be harmless."""
    for name in [name for name in env if name.startswith("TEXTUAL")]:
        if name not in ALLOWED:
            del env[name]


def colourless() -> bool:
    """True when the person asked for no colours (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


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
