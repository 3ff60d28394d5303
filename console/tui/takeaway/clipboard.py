"""The clipboard of whoever sits in front of the terminal, and what can honestly be said of it.

A program of the workstation puts text into a clipboard and says whether that worked. Over SSH
there is none, unless a display is forwarded; then tmux, or else the terminal itself is asked
(OSC 52). Terminals do not answer, and some take no such request.
"""

import asyncio
import shutil
import sys
from collections.abc import Mapping
from typing import NamedTuple

MOST_BYTES = 1 << 20
OSC52_BYTES = 74_994
"""More than this, in base64, some terminals drop without a word."""
WAIT_S = 2.0


class Tool(NamedTuple):
    """A program that takes text on its standard input. ``sure``: its success is the clipboard's."""

    argv: tuple[str, ...]
    sure: bool = True

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.argv[0].rpartition("/")[2]


class Copied(NamedTuple):
    """What came of it, in words; ``terminal``: the text is for the terminal to take."""

    words: str
    style: str
    terminal: bool = False


def tools(env: Mapping[str, str], platform: str = sys.platform) -> list[Tool]:
    """The programs to try, in this order."""
    remote = bool(env.get("SSH_CONNECTION") or env.get("SSH_TTY"))
    wanted: list[Tool] = []
    if env.get("WAYLAND_DISPLAY") and not remote:
        wanted.append(Tool(("wl-copy",)))
    if env.get("DISPLAY"):
        wanted.append(Tool(("xclip", "-selection", "clipboard")))
        wanted.append(Tool(("xsel", "--clipboard", "--input")))
    if platform == "darwin" and not remote:
        wanted.append(Tool(("pbcopy",)))
    if env.get("TMUX"):
        wanted.append(Tool(("tmux", "load-buffer", "-w", "-"), sure=False))
    found = []
    for tool in wanted:
        path = shutil.which(tool.argv[0], path=env.get("PATH", ""))
        if path and path.startswith("/"):
            found.append(Tool((path, *tool.argv[1:]), tool.sure))
    return found


async def copy(text: str, env: Mapping[str, str]) -> Copied:
    """Hand ``text`` over, or say that the terminal has to take it."""
    data = text.encode("utf-8", "replace")
    if len(data) > MOST_BYTES:
        return Copied(f"not copied: {len(data):,} bytes are more than {MOST_BYTES:,}", "warn")
    for tool in tools(env):
        if await _run(tool, data, env):
            if tool.sure:
                return Copied(f"copied by {tool.name}", "ok")
            return Copied(
                "in tmux's buffer, and sent on to the terminal; "
                "whether that took it cannot be seen",
                "accent",
            )
    if len(data) > OSC52_BYTES:
        return Copied(
            f"not copied: {len(data):,} bytes are more than the {OSC52_BYTES:,} that terminals "
            "take; :export writes a file",
            "warn",
        )
    words = "sent to the terminal by OSC 52; whether it was taken cannot be seen"
    return Copied(words, "accent", terminal=True)


async def _run(tool: Tool, data: bytes, env: Mapping[str, str]) -> bool:
    """Whether the program took it. It may stay behind and serve the clipboard."""
    nothing = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *tool.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
            env=env,
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(data), WAIT_S)
    except (TimeoutError, OSError):
        try:
            process.kill()
        except ProcessLookupError:
            pass
        await process.wait()
        return False
    return process.returncode == 0
