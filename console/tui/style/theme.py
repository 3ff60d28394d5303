"""A theme: colours and attributes by fixed names, read from a TOML file and checked strictly.

Nothing of a file reaches the library as text: each value is taken apart here, and only colours and
attributes that are known go on.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.color import Color
from rich.style import Style

from console.config.layer import nearest
from console.errors import ConfigError
from console.text import clean

MAX_BYTES = 64 << 10
SERIES = 6
HEAT = 10

COLOURS = ("background", "foreground", "border", "scroll")
"""Keys with one colour: of the whole screen, of frames, of the scroll bar."""
STYLES = ("dim", "bold", "ok", "warn", "bad", "accent", "head", "bar", "cursor")
"""Keys with a style: attributes, a colour, and ``on`` with a colour to write on."""
LISTS = {"series": SERIES, "heat": HEAT}
"""Keys with a list of styles, and how many there are."""
KEYS = ("about", "base", *COLOURS, *STYLES, *LISTS)

ATTRIBUTES = ("bold", "dim", "italic", "underline", "reverse")
_EIGHT = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
ANSI = (*_EIGHT, *(f"bright_{name}" for name in _EIGHT))
"""The sixteen colours that a terminal itself provides."""
DEFAULT = "default"
"""The colour that the terminal uses when it is told none."""

_RGB = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Theme:
    """Everything that is drawn with colours. ``styles`` hold what each name changes.

    ``background``, ``foreground``, ``border`` and ``scroll`` are ``#rrggbb``, a name of ``ANSI`` or
    ``DEFAULT``.
    """

    name: str
    about: str
    background: str
    foreground: str
    border: str
    scroll: str
    styles: Mapping[str, Style]
    base: Style = field(init=False)
    _whole: dict[str, Style] = field(init=False, repr=False, compare=False)
    _cursor: dict[str, Style] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put the styles together once, because every cell of every paint asks for one."""
        base = Style(color=_screen(self.foreground), bgcolor=_screen(self.background))
        put = object.__setattr__
        put(self, "base", base)
        put(self, "_whole", {name: base + style for name, style in self.styles.items()})
        put(self, "_cursor", {name: self._under(style) for name, style in self.styles.items()})

    def style(self, name: str) -> Style:
        """The whole style of that name, on the background of the screen."""
        return self._whole[name]

    def over(self, name: str) -> Style:
        """What that name changes, to be added to a style that is there already."""
        return self.styles[name]

    def cursor(self, name: str) -> Style:
        """The whole style of that name in the row under the cursor."""
        return self._cursor[name]

    @property
    def colourless(self) -> bool:
        """True when only attributes are used, no colour at all."""
        named = (self.background, self.foreground, self.border, self.scroll)
        styles = self.styles.values()
        return set(named) == {DEFAULT} and not any(s.color or s.bgcolor for s in styles)

    @property
    def rgb(self) -> bool:
        """True when it needs more than the terminal's own sixteen colours."""
        styles = self.styles.values()
        every = [self.base, *styles]
        return any(c and c.triplet for s in every for c in (s.color, s.bgcolor))

    def _under(self, style: Style) -> Style:
        cursor = self.styles["cursor"]
        if cursor.reverse:  # reversed colours would be areas of colour: attributes tell enough
            plain = Style(bold=style.bold, underline=style.underline, italic=style.italic)
            return self.base + cursor + plain
        return self.base + cursor + style


def _screen(name: str) -> str | None:
    """A colour of the whole screen; the terminal's own needs no word to the terminal."""
    return None if name == DEFAULT else name


def load(path: Path, bases: Mapping[str, Path]) -> Theme:
    """Read and check one file, which is called as its theme.

    What the person's own file leaves out comes from the theme that its ``base`` names, one of
    ``bases``; "dark" unless it says so. Raises ConfigError with the file, the key and what would be
    right.
    """
    values = read(path)
    if bases and path not in bases.values():
        name = values.get("base", "dark")
        if name not in bases:
            raise _wrong(path, "base", name, bases)
        values = {**read(bases[name]), **values}
    missing = [key for key in (*COLOURS, *STYLES, *LISTS) if key not in values]
    if missing:
        raise ConfigError(f"lacks {', '.join(missing)}", where=clean(str(path), 300))
    return parse(values, path)


def read(path: Path) -> dict[str, Any]:
    """The keys and values of a file: known keys with values of the right kind.

    Raises ConfigError.
    """
    where = clean(str(path), 300)
    try:
        values = tomllib.loads(_text(path, where))
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"is not TOML: {clean(str(exc), 200)}", where=where) from exc
    for key, value in values.items():
        if key not in KEYS:
            raise ConfigError(
                f"a theme has no {clean(key, 40)!r}",
                where=where,
                hint=nearest(key, KEYS),
            )
        if key in LISTS:
            many = LISTS[key]
            right = isinstance(value, list) and all(isinstance(part, str) for part in value)
            if not right or len(value) != many:
                raise ConfigError(f"{key} is not a list of {many} styles", where=where)
        elif not isinstance(value, str):
            raise ConfigError(
                f"{key} is {clean(str(value), 40)}, not text in quotes",
                where=where,
                hint='For example: ok = "bold #7fc97f"',
            )
    return values


def parse(values: Mapping[str, Any], path: Path) -> Theme:
    """A theme of complete ``values`` as ``read`` gives them. Raises ConfigError."""
    styles = {"": Style.null()}
    for key in STYLES:
        styles[key] = _style(values[key], key, path)
    for number, text in enumerate(values["series"], 1):
        styles[f"series{number}"] = _style(text, f"series, number {number}", path)
    for number, text in enumerate(values["heat"]):
        styles[f"heat{number}"] = _style(text, f"heat, number {number}", path)
    colours = {key: _colour(values[key], key, path) for key in COLOURS}
    styles["border"] = Style(color=_screen(colours["border"]))
    about = clean(values.get("about", ""), 100)
    return Theme(name=clean(path.stem, 40), about=about, styles=styles, **colours)


def _style(text: str, key: str, path: Path) -> Style:
    """``[attribute ...] [colour] [on colour]`` as a style."""
    attributes: dict[str, bool] = {}
    colour: str | None = None
    ground: str | None = None
    words = iter(text.split())
    for word in words:
        if word in ATTRIBUTES:
            attributes[word] = True
        elif word == "on" and ground is None:
            ground = _colour(next(words, ""), key, path)
        elif colour is None:
            colour = _colour(word, key, path, also=(*ATTRIBUTES, "on"))
        else:
            raise _wrong(path, key, text, (), "A style has one colour, and one after `on`.")
    parse_colour = Color.parse
    return Style(
        color=parse_colour(colour) if colour else None,
        bgcolor=parse_colour(ground) if ground else None,
        bold=attributes.get("bold"),
        dim=attributes.get("dim"),
        italic=attributes.get("italic"),
        underline=attributes.get("underline"),
        reverse=attributes.get("reverse"),
    )


def _colour(text: str, key: str, path: Path, also: Iterable[str] = ()) -> str:
    if _RGB.fullmatch(text):
        return text.lower()
    if text in ANSI or text == DEFAULT:
        return text
    raise _wrong(path, key, text, (*ANSI, DEFAULT, *also))


def _wrong(path: Path, key: str, value: str, right: Iterable[str], hint: str = "") -> ConfigError:
    near = hint or nearest(value, right)
    if not near and key != "base":
        near = f"A colour is #rrggbb, {DEFAULT}, or one of: {', '.join(ANSI)}."
    return ConfigError(
        f"{key}: {clean(value, 40)!r} is not known", where=clean(str(path), 300), hint=near
    )


def _text(path: Path, where: str) -> str:
    try:
        # Without waiting: a pipe that nobody writes to must not hold the screens up.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError("is not a regular file", where=where)
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(clean(exc.strerror or "cannot be read"), where=where) from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES >> 10} KiB", where=where)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError("is not UTF-8", where=where) from exc
