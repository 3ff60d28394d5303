"""Run a tool of the system and read small files of it, without ever raising."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

TIMEOUT_S = 3.0
MAX_BYTES = 1 << 20
MORE_PATHS = ":/usr/sbin:/sbin:/usr/local/sbin"

Facts = dict[str, str]
"""Short name to text; the text begins with yes, no, none, unknown, or a number."""


class Said(msgspec.Struct, frozen=True):
    """What a tool printed. ``why`` says why it did not run, then ``code`` is None."""

    code: int | None = None
    out: str = ""
    why: str = ""


def run(*argv: str) -> Said:
    """Run a tool that only reads, in English, for at most ``TIMEOUT_S``."""
    program = shutil.which(argv[0], path=os.environ.get("PATH", "") + MORE_PATHS)
    if program is None:
        return Said(why=f"{argv[0]} is not installed")
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return Said(why=f"{argv[0]} did not answer within {TIMEOUT_S:.0f} s")
    except OSError as exc:
        return Said(why=f"{argv[0]}: {exc.strerror}")
    return Said(done.returncode, done.stdout[:MAX_BYTES].decode("utf-8", "replace"))


def text_of(path: Path) -> str | None:
    """Content of a small file, None when it is not there or may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def unknown(why: str) -> str:
    """The text of a fact that could not be found out."""
    return f"unknown: {why}"


Environment = Mapping[str, str]
