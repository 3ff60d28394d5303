"""Journal cursors: opaque to the console, but they come from a host and go into a verb."""

import re

_cursor = re.compile(r"[A-Za-z0-9=;:_.\-/+]{1,500}").fullmatch


def sane_cursor(cursor: str) -> str:
    """``cursor`` where it can be sent back as one word of a verb, else nothing."""
    return cursor if _cursor(cursor) else ""
