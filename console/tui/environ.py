"""The environment is input: what of it may reach the library that draws.

``TEXTUAL_PRESS`` types keys, ``TEXTUAL_DRIVER`` imports code. Call ``scrub`` before ``textual`` is
imported for the first time, because its constants are read then.
"""

import locale
import os
from collections.abc import MutableMapping

ALLOWED = ("TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS")


def scrub(env: MutableMapping[str, str]) -> None:
    """Remove every variable of the library that is not known to be harmless."""
    for name in [name for name in env if name.startswith("TEXTUAL")]:
        if name not in ALLOWED:
            del env[name]


def colourless() -> bool:
    """True when the person asked for no colours (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def ascii_only() -> bool:
    """True when the terminal's character set has no block characters."""
    name = locale.getpreferredencoding(False).lower().replace("-", "")
    return "utf" not in name
