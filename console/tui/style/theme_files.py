"""Which themes there are: those shipped and the person's own, and what changed in a file."""

import os
import re
from functools import cache
from pathlib import Path

from console.config.layer import nearest
from console.errors import ConfigError
from console.resources import shipped
from console.text import clean
from console.tui.style.theme import Theme, load

SHIPPED = ("dark", "light", "high-contrast", "mono", "ansi16")
"""In the order in which one key leads from one to the next."""
AUTO = "auto"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MOST = 200

Stamp = tuple[str, int, int, int]


@cache
def default_theme() -> Theme:
    """The theme that is used where none was asked for."""
    return load(shipped("themes") / "dark.toml", {})


class ThemeFiles:
    """Themes by name. A file of the person's own folder wins over a shipped one of its name."""

    def __init__(self, own: Path | None = None) -> None:
        """``own`` is the folder of the person's own themes; it need not exist."""
        self.own = own

    def names(self) -> list[str]:
        """Every name, shipped ones first."""
        mine: list[str] = []
        try:
            entries = sorted(os.listdir(self.own))[:_MOST] if self.own is not None else []
        except OSError:  # there is no such folder, or it may not be read: then there are none
            entries = []
        for entry in entries:
            name = entry.removesuffix(".toml")
            if name != entry and _NAME.fullmatch(name) and name not in (*SHIPPED, AUTO):
                mine.append(name)
        return [*SHIPPED, *mine]

    def path(self, name: str) -> Path:
        """The file of a theme. Raises ConfigError, with the nearest name, where there is none."""
        if _NAME.fullmatch(name):
            if self.own is not None and (self.own / f"{name}.toml").exists():
                return self.own / f"{name}.toml"
            if name in SHIPPED:
                return shipped("themes") / f"{name}.toml"
        known = self.names()
        hint = nearest(name, known) or f"Known: {', '.join((AUTO, *known))}."
        raise ConfigError(f"no theme is called {clean(name, 40)!r}", hint=hint)

    def load(self, name: str) -> Theme:
        """Read a theme. Raises ConfigError with the file, the key and what would be right."""
        bases = {base: shipped("themes") / f"{base}.toml" for base in SHIPPED}
        return load(self.path(name), bases)

    def stamp(self, name: str) -> Stamp | None:
        """What changes when the file of a theme does; None while it cannot be looked at."""
        try:
            path = self.path(name)
            info = path.stat()
        except (ConfigError, OSError):
            return None
        return str(path), info.st_mtime_ns, info.st_size, info.st_ino
