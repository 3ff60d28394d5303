"""Every shipped theme can be read: by contrast, and with every kind of colour vision.

``mono`` and ``ansi16`` use no colours of their own: what the terminal makes of its sixteen is not
ours to compute. For them it is tested that they keep to that, and that attributes tell apart.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from rich.color import Color, ColorSystem
from rich.style import Style
from textual.strip import Strip

from console.tui.style.theme import ANSI, HEAT, SERIES, Theme
from console.tui.style.theme_files import SHIPPED, ThemeFiles

THEMES = {name: ThemeFiles().load(name) for name in SHIPPED}
NEEDED = {"dark": 4.5, "light": 4.5, "high-contrast": 7.0}
WORDS = ("", "dim", "bold", "ok", "warn", "bad", "accent", "head")
LINEAR = tuple[float, float, float]

# Machado, Oliveira, Fernandes 2009, table 1, severity 1.0; for linear RGB.
VISION: dict[str, tuple[LINEAR, LINEAR, LINEAR]] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: Color | None) -> LINEAR:
    """sRGB to linear light, as WCAG 2.1 defines relative luminance."""
    assert colour is not None
    assert colour.triplet is not None, f"{colour.name} is not a colour of the theme itself"

    def channel(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = colour.triplet
    return channel(red), channel(green), channel(blue)


def contrast(style: Style) -> float:
    """WCAG 2.1 contrast ratio of a whole style."""
    assert not style.dim, "how dark a dim colour becomes is the terminal's business"
    on, ground = style.color, style.bgcolor
    bright, dark = sorted(
        (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(on), linear(ground))),
        reverse=True,
    )
    return (bright + 0.05) / (dark + 0.05)


def lab(rgb: LINEAR) -> LINEAR:
    """CIE L*a*b* of linear RGB, D65."""

    def curve(value: float) -> float:
        return value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116

    red, green, blue = rgb
    x = curve((0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047)
    y = curve(0.2126729 * red + 0.7151522 * green + 0.0721750 * blue)
    z = curve((0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour: Color | None, vision: str) -> LINEAR:
    """A colour as such an eye sees it."""
    rgb = linear(colour)
    mixed = (sum(m * c for m, c in zip(row, rgb, strict=True)) for row in VISION[vision])
    red, green, blue = (min(1.0, max(0.0, value)) for value in mixed)
    return lab((red, green, blue))


def apart(one: Color | None, other: Color | None, vision: str) -> float:
    """Euclidean distance in L*a*b*; about 2 can just be told apart side by side."""
    pairs = zip(seen(one, vision), seen(other, vision), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


@pytest.mark.parametrize("name", NEEDED)
def test_words_stand_out_from_what_they_stand_on(name: str) -> None:
    theme, least = THEMES[name], NEEDED[name]
    bar = theme.style("bar")
    for word in WORDS:
        assert contrast(theme.style(word)) >= least, f"{word!r} on the screen"
        assert contrast(theme.cursor(word)) >= least, f"{word!r} under the cursor"
        assert contrast(bar + theme.over(word)) >= least, f"{word!r} on the bar"
    for filled in ("bar", *(f"heat{n}" for n in range(HEAT))):
        assert contrast(theme.style(filled)) >= least, filled
        assert contrast(theme.cursor(filled)) >= least, f"{filled} under the cursor"
    for number in range(1, SERIES + 1):
        assert contrast(theme.style(f"series{number}")) >= least, f"series{number}"


@pytest.mark.parametrize("name", NEEDED)
def test_frames_and_scroll_bars_stand_out(name: str) -> None:
    theme = THEMES[name]
    for colour in (theme.border, theme.scroll):
        least = 3.0  # WCAG 2.1, 1.4.11: what is no text
        assert contrast(Style(color=colour, bgcolor=theme.background)) >= least


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("vision", VISION)
def test_severities_differ_for_every_colour_vision(name: str, vision: str) -> None:
    theme = THEMES[name]
    for one, other in combinations(("ok", "warn", "bad"), 2):
        gap = apart(theme.style(one).color, theme.style(other).color, vision)
        assert gap >= 20, f"{one} and {other}: {gap:.0f}"


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("vision", VISION)
def test_lines_of_a_plot_differ_for_every_colour_vision(name: str, vision: str) -> None:
    theme = THEMES[name]
    for one, other in combinations(range(1, SERIES + 1), 2):
        first, second = theme.style(f"series{one}"), theme.style(f"series{other}")
        assert apart(first.color, second.color, vision) >= 8, f"series {one} and {other}"


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("vision", VISION)
def test_heat_rises_evenly_for_every_colour_vision(name: str, vision: str) -> None:
    theme = THEMES[name]
    light = [seen(theme.style(f"heat{n}").bgcolor, vision)[0] for n in range(HEAT)]
    steps = [after - before for before, after in pairwise(light)]
    assert all(step > 1 for step in steps) or all(step < -1 for step in steps), steps


def shown(style: Style, system: ColorSystem) -> str:
    """What a terminal with so many colours is told."""
    return Strip.render_ansi(Style.null() + style, system)


FEW = [(name, ColorSystem.EIGHT_BIT) for name in SHIPPED]
FEW += [("ansi16", ColorSystem.STANDARD), ("mono", ColorSystem.STANDARD)]
"""256 colours show every theme; those that ``auto`` gives to sixteen must stand those too."""


@pytest.mark.parametrize(("name", "system"), FEW, ids=str)
def test_severities_differ_with_few_colours(name: str, system: ColorSystem) -> None:
    theme = THEMES[name]
    # A copy of each style, because the library keeps what it made of one for the first system.
    told = {word: shown(theme.style(word).copy(), system) for word in ("", "warn", "bad", "cursor")}
    assert len(set(told.values())) == len(told), told


def colours(theme: Theme) -> set[str]:
    styles = theme.styles.values()
    used = {c.name for s in styles for c in (s.color, s.bgcolor) if c is not None}
    return used | {theme.background, theme.foreground, theme.border, theme.scroll}


def test_mono_has_no_colour_and_ansi16_only_the_sixteen() -> None:
    assert THEMES["mono"].colourless
    assert colours(THEMES["mono"]) == {"default"}
    assert not THEMES["ansi16"].rgb
    assert colours(THEMES["ansi16"]) <= set(ANSI)
    for name in NEEDED:
        assert THEMES[name].rgb
        assert not THEMES[name].colourless


@pytest.mark.parametrize("name", ["mono", "high-contrast"])
def test_severities_differ_without_any_colour(name: str) -> None:
    """On paper, on a display that shows no colours, or for an eye that sees none."""
    theme = THEMES[name]
    plain = [theme.style(word).without_color for word in ("", "warn", "bad")]
    assert len(set(plain)) == 3
