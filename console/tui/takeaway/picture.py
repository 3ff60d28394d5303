"""The screen as an SVG file that fetches nothing from elsewhere when it is opened."""

import re
from typing import Any

from textual.app import App

_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}\s*")
_FAMILY = re.compile(r"font-family:\s*Fira Code,\s*monospace")
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
"""What is shown stands outside: whoever writes of fonts there hides nothing by it."""
_FONTS = "font-family: Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def picture(app: App[Any], title: str) -> str:
    """What the app shows now, as SVG text.

    The library's own export names fonts on a public server, so that opening evidence would tell
    that server of it. They are replaced by fonts of the viewer's machine. Some viewers drop blanks
    at the start of a text unless they are told to keep them; then columns would not stand in line.
    """
    svg = _STYLE.sub(_mended, app.export_screenshot(title=title), count=1)
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _mended(style: re.Match[str]) -> str:
    return _FAMILY.sub(_FONTS, _FONT_FACE.sub("", style.group()))
