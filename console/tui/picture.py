"""The screen as an SVG file that fetches nothing from elsewhere when it is opened."""

import re
from typing import Any

from textual.app import App

_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}\s*")
_FAMILY = re.compile(r"font-family:\s*Fira Code,\s*monospace")
_FONTS = "font-family: Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def picture(app: App[Any], title: str) -> str:
    """What the app shows now, as SVG text.

    The library's own export names fonts on a public server, so that opening evidence would tell
    that server of it. They are replaced by fonts of the viewer's machine.
    """
    svg = _FAMILY.sub(_FONTS, _FONT_FACE.sub("", app.export_screenshot(title=title)))
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
