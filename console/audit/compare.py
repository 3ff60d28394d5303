"""What a console sent and saw must be in the host's log: a host cannot deny it afterwards."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from console.audit.lives import Lives
from console.audit.records import MAX_FOUND, Walked
from console.audit.report import Report
from console.store.witness import Seen, Sent
from console.text import clean

_VERBS = {
    "submit": "the request", "decide": "the decision about", "cancel": "the withdrawal of",
    "start": "the start of", "review": "the review of",
    "fetch": "the fetching of evidence of",
}  # fmt: skip


def sent_and_seen(
    report: Report,
    walked: Walked,
    lives: Lives,
    sent: Sequence[Sent],
    requests: Sequence[Seen],
    records: Sequence[Seen],
) -> None:
    """Compare with the log: documents sent, requests shown in telemetry, and records shown."""
    before = len(report.wrong)
    _sent(report, lives, sent)
    _requests(report, lives, requests)
    _records(report, walked, records)
    if len(report.wrong) == before:
        report.prove(
            f"{len(sent)} documents that this console sent, {len(requests)} requests and "
            f"{len(records):,} records that it was shown agree with the log"
        )


def _sent(report: Report, lives: Lives, sent: Sequence[Sent]) -> None:
    for one in sent:
        what = f"{_VERBS.get(one.kind, one.kind)} {clean(one.rid, 12)}"
        answer = _answer(one.answer)
        if answer is None:
            if one.kind != "confirm" and _digest(one.data) not in lives.documents:
                report.note(f"{what} was sent, no answer came, and the log does not have it")
        elif answer.get("ok") is not True:
            continue  # refused: the host may have coalesced it
        elif one.kind == "confirm":
            if not _confirmed(lives, one.rid):
                report.fail(f"the host accepted a confirmation of {what}, and its log lacks it")
        elif _digest(one.data) not in lives.documents:
            report.fail(
                f"DENIED: the host accepted {what} (its answer is kept here), and its log does "
                "not have it"
            )
        if answer is not None and answer.get("state") in ("APPLIED", "STANDING", "DONE"):
            life = lives.lives.get(one.rid)
            if life is None or life.started < 0:
                report.fail(f"DENIED: the host answered that it carried out {clean(one.rid, 12)}, "
                            "and its log does not say so")  # fmt: skip


def _confirmed(lives: Lives, rid: str) -> bool:
    life = lives.lives.get(rid)
    return life is not None and life.confirmed


def _answer(data: bytes) -> dict[str, Any] | None:
    if not data:
        return None
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _requests(report: Report, lives: Lives, requests: Sequence[Seen]) -> None:
    for seen in requests:
        envelope = _answer(seen.data) or {}
        text = envelope.get("request")
        if isinstance(text, str) and _digest(text.encode("utf-8", "replace")) not in lives.lives:
            rid = _digest(text.encode("utf-8", "replace"))
            report.fail(f"HIDDEN: the host showed request {rid[:12]}, and its log does not have it")
        decisions = envelope.get("decisions")
        for each in decisions if isinstance(decisions, list) else ():
            said = each.get("decision") if isinstance(each, dict) else None
            data = said.encode("utf-8", "replace") if isinstance(said, str) else b""
            if data and _digest(data) not in lives.documents:
                report.fail("HIDDEN: the host showed a decision, and its log does not have it")


def _records(report: Report, walked: Walked, records: Sequence[Seen]) -> None:
    count = 0
    for seen in records:
        whole = seen.number < len(walked.hashes)
        if whole and walked.hashes[seen.number] == _digest(seen.data):
            continue
        count += 1
        if count > MAX_FOUND:
            continue
        said = clean(seen.data.decode("utf-8", "replace"), 120)
        words = "is not the one that this console was shown" if whole else "was shown and is gone"
        report.fail(f"{words}: {said}", seen.number)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
