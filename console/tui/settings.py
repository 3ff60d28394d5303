"""What a person has set of the terminal, however it was configured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console.tui.control.actions import Mode
from console.tui.style.theme_files import AUTO


@dataclass(frozen=True)
class Settings:
    """How the screens look and what they may do."""

    title: str = ""
    paint_s: float = 0.5  # least time between two paints of a table, in seconds
    mode: Mode = Mode.READ_ONLY  # what nobody allowed is not offered
    keys: Mapping[str, str] = field(default_factory=dict)  # by id of an action, see ``keys.Keys``
    theme: str = AUTO  # a name, or "auto"
    own_themes: Path | None = None  # folder of the person's own themes
    plots: str = "auto"  # what history is drawn with: "auto", "braille", "block", "ascii"
    rotate_s: float = 15.0  # seconds that a page of the wall board stays
    state: Path | None = None  # folder of exports and layouts; None: exports here, no layouts
    layout: str = ""  # the layout to begin with; "": the last that was used
    still: bool = False  # nothing moves by itself, and paints come once a second
    greeting: str = ""  # one line that is said when the screens open
    bell: bool = True  # ring, once, when a request waits for the person at this terminal
