"""A theme for what the library draws itself: frames, scroll bars, inputs, the palette."""

from rich.style import Style

from console.tui.style.theme import ATTRIBUTES, Theme

CSS = """
App, Screen { background: $background; color: $foreground; }
ModalScreen { background: transparent; }
Widget {
    scrollbar-background: $background; scrollbar-background-hover: $background;
    scrollbar-background-active: $background; scrollbar-corner-color: $background;
    scrollbar-color: $scrollbar; scrollbar-color-hover: $accent; scrollbar-color-active: $accent;
    border-title-color: $foreground; border-title-background: $background;
    border-subtitle-color: $foreground; border-subtitle-background: $background;
}
Label { background: $background; color: $foreground; }
Input, Input:focus {
    background: $background; color: $foreground; background-tint: $background 0%;
}
Input > .input--cursor { background: $background; color: $foreground; text-style: reverse; }
Input > .input--selection {
    background: $block-cursor-background; color: $block-cursor-foreground;
    text-style: $block-cursor-text-style;
}
Input > .input--placeholder, Input > .input--suggestion {
    color: $dim; text-style: $dim-text-style;
}
CommandPalette { background: transparent; align-horizontal: center; }
CommandPalette > Vertical {
    margin: 2 0 0 0; width: 90; max-width: 100%; background: transparent;
}
CommandPalette #--input, CommandPalette #--input.--list-visible {
    border: round $edge; background: $background; padding: 0 1;
}
CommandPalette #--input SearchIcon { display: none; }
CommandPalette CommandInput, CommandPalette CommandInput:focus {
    border: none; height: 1; padding: 0; background: $background;
}
CommandPalette #--results { background: $background; }
CommandPalette CommandList, CommandPalette CommandList:focus {
    border: round $edge; background: $background; max-height: 60vh; scrollbar-size: 1 1;
}
CommandPalette CommandList > .option-list--option {
    color: $foreground; background: $background; text-style: none; padding: 0 1;
}
CommandPalette CommandList > .option-list--option-hover { background: $background; }
CommandPalette CommandList > .option-list--option-highlighted {
    color: $block-cursor-foreground; background: $block-cursor-background;
    text-style: $block-cursor-text-style;
}
CommandPalette > .command-palette--help-text { color: $dim; text-style: $dim-text-style; }
CommandPalette > .command-palette--highlight { color: $accent; text-style: bold underline; }
CommandPalette LoadingIndicator { border: none; background: $background; color: $dim; }
CommandPalette.plain #--input, CommandPalette.plain #--input.--list-visible,
CommandPalette.plain CommandList, CommandPalette.plain CommandList:focus { border: ascii $edge; }
"""
"""Rules of the whole application; they stand above those that the library's widgets bring along."""


def variables(theme: Theme) -> dict[str, str]:
    """Variables for style sheets: the library's own names, and ``edge`` and ``dim``."""
    ground, text = _css(theme.background), _css(theme.foreground)
    colours = {"background": ground, "foreground": text, "scrollbar": _css(theme.scroll)}
    colours |= dict.fromkeys(("surface", "panel", "boost"), ground)
    colours |= dict.fromkeys(("edge", "border", "border-blurred"), _css(theme.border))
    own = {
        "primary": "accent",
        "secondary": "accent",
        "accent": "accent",
        "warning": "warn",
        "error": "bad",
        "success": "ok",
        "dim": "dim",
    }
    for name, style in own.items():
        colours[name] = _colour(theme.style(style), theme)
    colours["text"], colours["text-muted"] = text, colours["dim"]
    for name in ("primary", "secondary", "accent", "warning", "error", "success"):
        colours[f"text-{name}"] = colours[name]
    on, over, attributes = _highlighted(theme)
    for name in ("block-cursor", "block-cursor-blurred"):
        colours[f"{name}-foreground"], colours[f"{name}-background"] = on, over
        colours[f"{name}-text-style"] = attributes
    colours["dim-text-style"] = _attributes(theme.style("dim"))
    return colours


def _highlighted(theme: Theme) -> tuple[str, str, str]:
    """Colour, ground and attributes of the chosen line of a list.

    The library takes no reversed text there, and reversed colours would hide the dim words of the
    line: it is bold and underlined then.
    """
    cursor = theme.cursor("")
    on, over, attributes = _colour(cursor, theme), _ground(cursor, theme), _attributes(cursor)
    return on, over, "bold underline" if cursor.reverse else attributes


def _colour(style: Style, theme: Theme) -> str:
    return _css(theme.foreground) if style.color is None else _css(style.color.name)


def _ground(style: Style, theme: Theme) -> str:
    return _css(theme.background) if style.bgcolor is None else _css(style.bgcolor.name)


def _css(name: str) -> str:
    """A colour in the words of a style sheet: checked when the theme was read."""
    return name if name.startswith("#") else f"ansi_{name}"


def _attributes(style: Style) -> str:
    return " ".join(name for name in ATTRIBUTES if getattr(style, name)) or "none"
