"""A program in a real terminal: a tmux server of its own, keys that are pressed, a screen read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 15.0
LOOK_S = 0.05
ESCAPE_S = 0.25
PYTHON = (sys.executable, "-m", "console")

_KEEP_STATUS = """\
trap : HUP
sh -c 'trap - HUP; echo $$ >"$0/pid"; exec "$@"' "$0" "$@"
echo $? >"$0/status.new" && mv "$0/status.new" "$0/status"
"""
"""tmux itself now and then forgets the exit status of what ended quickly."""

needs_tmux = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="tmux is not installed: scripts/lab-packages does it"
)


class Tmux:
    """Runs ``argv`` in a window of ``size`` (columns, lines) and keeps the window after its end.

    ``term`` is what tmux says it is; ``env`` is all that the program finds in its environment
    beside PATH and HOME, which is an empty folder.
    """

    def __init__(
        self,
        *argv: str,
        size: tuple[int, int] = (150, 44),
        term: str = "tmux-256color",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="watchfloor-tmux-"))
        home = self._folder / "home"
        home.mkdir()
        conf = self._folder / "tmux.conf"
        conf.write_text(
            f"set -g default-terminal {term}\nset -g remain-on-exit on\n"
            "set -g status off\nset -g set-clipboard on\n"
            "set -g escape-time 0\nset -g history-limit 100\n",
            encoding="utf-8",
        )
        self._env = {"PATH": _path(), "HOME": str(home), "LANG": "C.UTF-8", **(env or {})}
        self._env["PYTHONPATH"] = str(ROOT)
        columns, lines = map(str, size)
        self._tmux(
            "-f", str(conf), "new-session", "-d", "-x", columns, "-y", lines,
            "sh", "-c", _KEEP_STATUS, str(self._folder), *argv,
        )  # fmt: skip

    def _tmux(self, *args: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self._folder / "socket"), *args],
            env=self._env, cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "replace")

    # -- hands

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: ``Enter``, ``Escape``, ``Tab``, ``C-p``, ``x``."""
        for key in keys:
            self._tmux("send-keys", key)
            if key == "Escape":
                time.sleep(ESCAPE_S)  # what follows at once is Alt and that key on any terminal

    def write(self, text: str) -> None:
        """Type text as it is."""
        self._tmux("send-keys", "-l", text)

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    # -- eyes

    @property
    def shown(self) -> str:
        """The screen as text."""
        return self._tmux("capture-pane", "-p")

    @property
    def left(self) -> str:
        """All that was written once the program has ended, without line breaks.

        Its last words are above the screen: tmux scrolls for a remark of its own.
        """
        return self._tmux("capture-pane", "-p", "-J", "-S", "-100").replace("\n", "")

    @property
    def coloured(self) -> str:
        """The screen with the sequences that colour it."""
        return self._tmux("capture-pane", "-p", "-e")

    @property
    def title(self) -> str:
        """The title of the window, which a program can set."""
        return self._tmux("display-message", "-p", "#{pane_title}").strip()

    @property
    def buffers(self) -> str:
        """What a program has put into the clipboard."""
        return self._tmux("list-buffers")

    @property
    def alternate(self) -> bool:
        """Whether the screen is the program's own, which hides what was there before."""
        return self._tmux("display-message", "-p", "#{alternate_on}").strip() == "1"

    def wait(self, *wanted: str, gone: str = "", within: float = PATIENCE_S) -> str:
        """The screen once every pattern of ``wanted`` is on it, and ``gone`` is not."""

        def there(shown: str) -> bool:
            here = all(re.search(pattern, shown) for pattern in wanted)
            return here and not (gone and re.search(gone, shown))

        return self.until(there, f"{wanted!r}{f' without {gone!r}' if gone else ''}", within)

    def until(self, true: Callable[[str], bool], words: str, within: float = PATIENCE_S) -> str:
        """The screen once ``true`` of it; fails with the screen after ``within`` seconds."""
        deadline = time.monotonic() + within
        while not true(shown := self.shown):
            assert time.monotonic() < deadline, f"not on the screen: {words}\n{shown}"
            time.sleep(LOOK_S)
        return shown

    def end(self, within: float = PATIENCE_S) -> int:
        """Wait for the end of the program; its exit status."""
        status = self._folder / "status"
        deadline = time.monotonic() + within
        while not status.exists():
            assert time.monotonic() < deadline, f"it does not end\n{self.shown}"
            time.sleep(LOOK_S)
        return int(status.read_text())

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return int((self._folder / "pid").read_text())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tmux("kill-server")
        shutil.rmtree(self._folder, ignore_errors=True)


def _path() -> str:
    return f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def colours(coloured: str) -> set[str]:
    """Every number in the sequences that colour a captured screen."""
    found = re.findall(r"\x1b\[([0-9;:]*)m", coloured)
    return {number for code in found for number in re.split("[;:]", code)}
