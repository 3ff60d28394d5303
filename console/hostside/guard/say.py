"""Foreign text made fit to be read, kept and signed: names of processes, files, units, peers.

Whoever runs a program chooses its name, and one byte in it must neither keep an action from being
asked for nor change how its line is shown. What a document may hold (``trust/canonical``) stays as
it is; everything else becomes ``\\xff`` (a byte), ``\\u202e`` or ``\\U000e0041`` (a character).
"""

from __future__ import annotations

from .refused import Refused
from .trust import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNKNOWN = "/(not told)"
MAX_PATH = 400


def text(value: str) -> str:
    """``value`` as a document may hold it, without blanks at its ends."""
    if _fits(value):
        return value
    out = "".join(char if char.isascii() and char.isprintable() else _other(char) for char in value)
    while "    " in out:
        out = out.replace("    ", "   \\x20")
    # Alone each of them may stand; together they may still be no normal form, or a tower of marks.
    return out if _fits(out) else "".join(c if c.isascii() else _escaped(c) for c in out)


def path(value: str) -> str:
    """A path as a document may hold it: another path gives another text, unless it is so long
    that it is cut. ``UNKNOWN`` where there is none."""
    if not value:
        return UNKNOWN
    out = text(value.replace("\\", "\\x5c"))
    if out.startswith(" ") or out.endswith(" "):
        out = out.rstrip(" ") + "\\x20" * (len(out) - len(out.rstrip(" ")))
    return out if len(out) <= MAX_PATH else out[:MAX_PATH] + "..."


def clean(value: Any) -> Any:
    """The same for every text in lists and objects."""
    if type(value) is str:
        return text(value)
    if type(value) is list or type(value) is tuple:
        return [clean(item) for item in value]
    if type(value) is dict:
        return {text(name) if type(name) is str else name: clean(value[name]) for name in value}
    return value


def _fits(value: str) -> bool:
    try:
        canonical.text(value)
    except Refused:
        return False
    return True


def _other(char: str) -> str:
    return char if not char.isascii() and _fits(char) else _escaped(char)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
