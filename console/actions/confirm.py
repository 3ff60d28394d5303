"""After an action: proof over a new connection that the host can still be reached."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from console.actions.around import Around
from console.actions.ask import ask, link_words, word
from console.actions.send import Token
from console.errors import ActionError, LinkError, WatchfloorError
from console.model.host import Host
from console.text import clean

PAUSE_S = 1.0
PAUSE_MOST_S = 5.0
MOST_S = 3600
MARGIN_S = 30
"""For the way there and back, and for clocks that are read in whole seconds."""
NO_MORE = ("no-request", "already-reverted", "token")
"""Rules of a guard after which asking again changes nothing."""


async def confirm(
    around: Around,
    host: Host,
    token: Token,
    skew_s: float,
    tell: Callable[[bool, str], None],
    confirm_s: int = MOST_S,
) -> None:
    """Give the token back, over new connections, until it is taken or its deadline has passed.

    ``confirm_s`` is the plan's: what the host calls the deadline is believed only within it, with
    ``MARGIN_S``. ``tell`` is called once: whether it was confirmed, and in words what came of it.
    """
    pause = PAUSE_S
    end = around.clock.mono() + confirm_s + MARGIN_S
    why = "it was not tried"
    while True:
        try:
            number = _keep(around, host, token)
            told, _ = await ask(around.caller, host, "confirm", id=token.id, token=token.token)
            _keep_answer(around, number, told)
        except ActionError as error:
            why = f"the host says: {error.message}"
            if error.rule in NO_MORE:
                tell(False, why)
                return
        except WatchfloorError as error:
            why = link_words(error) if isinstance(error, LinkError) else clean(str(error), 300)
        else:
            tell(True, word(told, "state", 20))
            return
        left = token.until - (around.clock.wall() + skew_s)
        if left > 0 and around.clock.mono() >= end:
            tell(False, f"{why}; the plan gives it {confirm_s} s, whatever the host calls its end")
            return
        if left <= 0:
            tell(False, f"{why}; its deadline has passed, so the host undoes it")
            return
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, PAUSE_MOST_S)


def _keep(around: Around, host: Host, token: Token) -> int:
    """That it was asked for, without the token."""
    if around.witness is None:
        return 0
    return around.witness.sent(host.name, "confirm", token.id, b"", b"")


def _keep_answer(around: Around, number: int, told: Mapping[str, Any]) -> None:
    if around.witness is not None and number:
        kept = {"ok": True, "id": word(told, "id", 64), "state": word(told, "state", 20)}
        with contextlib.suppress(WatchfloorError):  # it is confirmed all the same
            around.witness.answered(number, msgspec.json.encode(kept))
