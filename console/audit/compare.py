"""What a console sent and saw must be in the host's log: a host cannot deny it afterwards."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from console.audit.life import Life
from console.audit.lives import Lives
from console.audit.records import MAX_FOUND, Walked
from console.audit.report import Report
from console.store.witness import Seen, Sent
from console.text import clean

_VERBS = {
    "submit": "the request", "decide": "the decision about", "cancel": "the withdrawal of",
    "start": "the start of", "review": "the review of",
    "fetch": "the fetching of evidence of", "confirm": "the confirmation of",
}  # fmt: skip
ENDED = ("APPLIED", "STANDING", "DONE")


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
    agree = _sent(report, lives, sent)
    _requests(report, lives, requests)
    _records(report, walked, records)
    if len(report.wrong) == before:
        report.prove(
            f"{agree} documents that this console sent and the host accepted, {len(requests)} "
            f"requests and {len(records):,} records that it was shown agree with the log"
        )


def _sent(report: Report, lives: Lives, sent: Sequence[Sent]) -> int:
    """How many were accepted and are in the log; what is not is told."""
    agree, refused = 0, 0
    accepted = {(one.kind, one.rid) for one in sent if _accepted(one)}
    for one in sent:
        what = f"{_VERBS.get(one.kind, one.kind)} {clean(one.rid, 12)}"
        answer = _answer(one.answer)
        there = _in_log(lives, one)
        if answer is None and not there:
            words = f"{what} was sent, no answer came, and the log does not have it"
            (report.note if (one.kind, one.rid) in accepted else report.lack)(words)
        elif answer is not None and answer.get("ok") is not True:
            refused += 1  # the host may have counted it with others
        elif there:
            agree += 1
        elif one.kind == "confirm":
            report.fail(f"DENIED: the host accepted {what}, and its log does not have it")
        else:
            report.fail(
                f"DENIED: the host accepted {what} (its answer is kept here), and its log does "
                "not have it"
            )
        if answer is not None:
            _carried_out(report, lives.lives.get(one.rid), one.rid, answer)
    if refused:
        report.note(f"the host refused {refused} documents of this console: not compared")
    return agree


def _carried_out(report: Report, life: Life | None, rid: str, answer: dict[str, Any]) -> None:
    """What the host answered of the execution is in its log too."""
    state = answer.get("state")
    if state in ENDED or state == "EXECUTING" or answer.get("rule") == "failed":
        if life is None or life.started < 0:
            report.fail(f"DENIED: the host answered that it began {clean(rid, 12)}, and its log "
                        "does not say so")  # fmt: skip
        elif state in ENDED and not life.ended:
            report.fail(f"DENIED: the host answered that it carried out {clean(rid, 12)}, and its "
                        "log tells another end")  # fmt: skip


def _accepted(one: Sent) -> bool:
    answer = _answer(one.answer)
    return answer is not None and answer.get("ok") is True


def _in_log(lives: Lives, one: Sent) -> bool:
    if one.kind == "confirm":
        life = lives.lives.get(one.rid)
        return life is not None and life.confirmed
    return _digest(one.data) in lives.documents


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
