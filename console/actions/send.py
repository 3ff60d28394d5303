"""Signed documents on their way to hosts, and what each host answers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from console.actions.around import Around
from console.actions.ask import ask, link_words, word
from console.actions.envelope import END_OF_TIME
from console.errors import ActionError, LinkError, WatchfloorError
from console.model.guard import Outcome
from console.model.host import Host
from console.text import clean

AT_ONCE = 16


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One signed document for one host."""

    host: Host
    op: str  # submit, decide, cancel, start, review
    id: str  # of the request that it is about
    document: bytes
    signature: str
    fields: Mapping[str, Any]  # of the envelope, beside ``op``


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What proves over a new connection that the host can still be reached."""

    id: str
    token: str
    until: int  # by the host's clock


async def send_all(
    around: Around, parcels: Sequence[Parcel], confirm: Callable[[Host, Token], None]
) -> list[Outcome]:
    """Send each to its host, side by side; ``confirm`` is called for every token that comes back.

    Never raises for a host's sake: each has its outcome.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def one(parcel: Parcel) -> Outcome:
        async with places:
            return await send(around, parcel, confirm)

    return [*await asyncio.gather(*map(one, parcels))]


async def send(around: Around, parcel: Parcel, confirm: Callable[[Host, Token], None]) -> Outcome:
    """Send one; kept as evidence before it leaves."""
    host = parcel.host.name
    number = 0
    try:
        number = _keep(around, parcel)
        told, _ = await ask(around.caller, parcel.host, parcel.op, **parcel.fields)
    except ActionError as error:
        _keep_answer(around, number, {"ok": False, "rule": error.rule, "words": error.message})
        return Outcome(
            host=host, ok=False, id=parcel.id, rule=error.rule, words=error.message, hint=error.hint
        )
    except WatchfloorError as error:
        words = link_words(error) if isinstance(error, LinkError) else clean(str(error), 400)
        return Outcome(host=host, ok=False, id=parcel.id, rule="link", words=words)
    except Exception as odd:  # noqa: BLE001,RUF100  # one host's answer, never those of others
        words = f"what its guard answers cannot be judged: {type(odd).__name__}"
        return Outcome(host=host, ok=False, id=parcel.id, rule="link", words=words)
    token = _token(told, parcel.id)
    state = word(told, "state", 20)
    _keep_answer(around, number, {"ok": True, "id": word(told, "id", 64), "state": state})
    if token is not None:
        confirm(parcel.host, token)
    return Outcome(
        host=host,
        ok=True,
        id=parcel.id,
        state=state,
        words="" if token or not told.get("confirm") else "what it gave to confirm is not readable",
        confirm_until=token.until if token else 0,
    )


def _token(told: Mapping[str, Any], rid: str) -> Token | None:
    asked = told.get("confirm")
    if not isinstance(asked, dict):
        return None
    token, until = asked.get("token"), asked.get("until")
    if not isinstance(token, str) or type(until) is not int or len(token) > 200:
        return None
    if not 0 < until < END_OF_TIME:
        return None
    return Token(id=rid, token=token, until=until)


def _keep(around: Around, parcel: Parcel) -> int:
    if around.witness is None:
        return 0
    return around.witness.sent(
        parcel.host.name, parcel.op, parcel.id, parcel.document, parcel.signature.encode()
    )


def _keep_answer(around: Around, number: int, told: Mapping[str, Any]) -> None:
    if around.witness is not None and number:
        try:
            around.witness.answered(number, msgspec.json.encode(told))
        except WatchfloorError:
            pass  # it was done; that it was sent is on the disk
