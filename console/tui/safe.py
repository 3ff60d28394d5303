"""The second wall: nothing that a terminal obeys, and no hidden action, reaches the screen.

The first wall is ``text.clean`` where foreign text enters. This one stands at paint, so that a
mistake anywhere between the two stays a mistake and does not become somebody's clipboard.
"""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from console.text import clean

ALLOWED_META = frozenset({"offset"})
SCROLLBAR = frozenset(
    {"scroll_up", "scroll_down", "scroll_left", "scroll_right", "grab", "release"}
)


class ScrubFilter(LineFilter):
    """Cleans every segment that is about to be painted, and drops links and unknown actions."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, made harmless; widths do not change."""
        return [self._scrubbed(segment) for segment in segments]

    def _scrubbed(self, segment: Segment) -> Segment:
        text, style, control = segment
        if control is None and not (text.isascii() and text.isprintable()):
            text = clean(text, 1 << 20)
        if style is not None and (style.meta or style.link):
            kept = {name: what for name, what in style.meta.items() if _harmless(name, what)}
            if style.link or len(kept) != len(style.meta):
                style = style.clear_meta_and_links()
                if kept:
                    style += style.from_meta(kept)
        return Segment(text, style, control)


def _harmless(name: str, what: object) -> bool:
    if name in ALLOWED_META:
        return True
    return name.startswith("@") and isinstance(what, str) and what in SCROLLBAR
