"""The screens over hosts that stand still, as a program: ``python -m tests.support.standing``.

What it is given says what is odd about them: ``poison``, every text is an attack; ``break WHERE``,
that method of the engine raises once a key was pressed; ``many``, a thousand hosts.
"""

from __future__ import annotations

import sys
from typing import Any

from console.model.host import HostState
from console.tui.app import run_app
from console.tui.settings import Settings
from tests.support.attacks import POISONS
from tests.support.still_engine import StillEngine, gpu, poisoned, view

SECRET = ("hunter2", "passphrase")
"""In the variables of the method that raises; never together in a source line."""


class Breaking(StillEngine):
    """Raises where it was told to."""

    where = ""

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "where") and self.running:
            return _raise
        return super().__getattribute__(name)


def _raise(*args: Any, **more: Any) -> None:
    secret = "-".join(SECRET)
    raise RuntimeError(f"the engine is broken; its secret has {len(secret)} letters")


def engine(words: list[str]) -> StillEngine:
    """What the command line asks for."""
    hosts = [
        view("gpu01", gpus=(gpu(0, 99.0, lost="GPU is lost"), gpu(1, 5.0))),
        view("gpu02", HostState.DOWN, reason="no route to host"),
        view("gpu03", HostState.STALE, reason="no frame for 9 s"),
        view("gpu04", HostState.NEW_KEY, reason="another key"),
    ]
    if "poison" in words:
        poison = "".join(POISONS.values()).replace("\ud83d", "")
        hosts = [poisoned(host, poison) for host in hosts]
    if "many" in words:
        hosts = [view(f"gpu{number:04}") for number in range(1000)]
    made = Breaking(*hosts)
    made.where = words[words.index("break") + 1] if "break" in words else ""
    for number in range(5):
        made.tell("auth.failed", hosts[0].name, user="root", source=f"203.0.113.{number}")
    return made


if __name__ == "__main__":
    sys.exit(run_app(lambda ask: engine(sys.argv[1:]), Settings(title="standing")))
