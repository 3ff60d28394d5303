"""Records of a log as lines for a person. Everything in them is foreign and cleaned."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.audit.records import read_line
from console.text import clean

_SHOWN = ("by", "verdict", "state", "mode", "rule", "count", "words", "why", "people", "torn")
_DOCUMENTS = (
    "request", "binding", "decision", "cancel", "start", "review", "fetch", "roster", "policy",
)  # fmt: skip


def lines(records: Iterable[bytes], request: str = "") -> Iterator[str]:
    """One line a record; of one request (by the begin of its id) also the signed documents."""
    for number, line in enumerate(records):
        record = read_line(line)
        if record is None:
            if not request:
                yield f"{number:>7}  is no record: {clean(line.decode('utf-8', 'replace'), 80)}"
            continue
        if request and not str(record["rid"]).startswith(request):
            continue
        yield f"{number:>7}  {_time(record['t'])}  {clean(record['ev'], 16):16} {_words(record)}"
        if request:
            for name in (*_DOCUMENTS, "signature"):
                text = record.get(name)
                if isinstance(text, str):
                    for part in text.splitlines():
                        yield f"         {name:10} {clean(part, 140_000)}"


def _time(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (OverflowError, OSError, ValueError):
        return "no time            "


def _words(record: dict[str, Any]) -> str:
    said = [clean(record["rid"], 12)] if record["rid"] else []
    asked = _document(record.get("request"))
    if asked:
        said += [f"{clean(str(asked.get(key, '')), 60)}" for key in ("action", "requester")]
        if asked.get("mode") != "two_before":
            mode = clean(str(asked.get("mode", "")), 40)
            said.append("BREAK-GLASS, alone" if mode == "break_glass" else mode)
        said.append(f"reason: {clean(str(asked.get('reason', '')), 120)}")
    else:
        said += [
            f"{name}={clean(_text(record[name]), 120)}" for name in _SHOWN if name in record
        ]  # fmt: skip
        if record.get("same_console") is True:
            said.append("from the same console as the request")
    return " ".join(said)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _document(text: Any) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
    return found if isinstance(found, dict) else {}
