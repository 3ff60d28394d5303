"""The documents by kind: parsed, and every field of exactly the type that it must have."""

from __future__ import annotations

import re

from ..refused import Refused
from . import canonical
from .floors import QUORUM
from .typed import (
    BOOT_ID,
    HEX128,
    METRIC,
    MODEL,
    NAME,
    NONCE,
    action,
    digest,
    empty,
    fingerprint,
    host_id,
    like,
    listed,
    mapped,
    name,
    one_of,
    shaped,
    thing,
    time,
    whole,
    words,
    wrong,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .typed import Check

NAMESPACES = {
    "request": "request-v1@watchfloor",
    "approval": "approval-v1@watchfloor",
    "cancel": "cancel-v1@watchfloor",
    "start": "start-v1@watchfloor",
    "review": "review-v1@watchfloor",
    "fetch": "fetch-v1@watchfloor",
    "roster": "roster-v1@watchfloor",
    "policy": "policy-v1@watchfloor",
    "checkpoint": "checkpoint-v1@watchfloor",
    "evidence": "evidence-v1@watchfloor",
    "manifest": "manifest-v1@watchfloor",
    "evaluation": "evaluation-v1@watchfloor",
}

MODES = ("two_before", "one_then_ratify", "break_glass")
MAX_TARGETS = 512
MAX_REASON = 500

_LIMITS = {"request": 128 << 10, "roster": 64 << 10, "policy": 64 << 10, "manifest": 256 << 10}
# Objects in these map names of people, roles, actions, services, files or metrics.
_NAMED = frozenset(("roster", "policy", "manifest", "evaluation"))
# A path below a model's folder, as it is in a manifest: no "..", no "//", no leading "/".
_PATH = re.compile(r"(?!/)(?!(?:.*/)?\.{1,2}(?:/|\Z))[^/]+(?:/[^/]+)*\Z")


def limit(kind: str) -> int:
    """The most bytes that a document of that kind may have."""
    return _LIMITS.get(kind, canonical.LIMIT)


def _read(data: bytes, kind: str, check: Check) -> dict[str, Any]:
    doc = canonical.parse(data, limit(kind), kind in _NAMED)
    # Which kind and version it is comes first: of another one, no other field means anything.
    if doc.get("kind") != kind:
        raise Refused("document", f"it is not of the kind {kind}", "see docs/guard.md")
    if type(doc.get("v")) is not int or doc["v"] != 1:
        raise Refused(
            "version", "the version of the document is not 1", "use a console of this guard's age"
        )
    check(doc, "")
    return doc


def _shaped(**fields: Check) -> Check:
    return shaped(kind=_any, v=_any, **fields)


def _any(value: Any, field: str) -> None:
    """Checked already."""


_BINDING = _shaped(
    boot_id=like(BOOT_ID, "a boot id"),
    facts=thing,
    guard=digest,
    host_id=host_id,
    host_key=fingerprint,
    nonce=like(NONCE, "a nonce"),
    plan=digest,
    policy=like(HEX128, "128 hex digits"),
)
_REQUEST = _shaped(
    action=action,
    context=shaped(workstation=words(0, 128)),
    expires=time,
    mode=one_of(*MODES),
    not_before=time,
    params=thing,
    reason=words(1, MAX_REASON),
    requester=name,
    requester_key=fingerprint,
    targets=listed(shaped(bind=digest, host_id=host_id), 1, MAX_TARGETS),
)
_APPROVAL = _shaped(
    by=name,
    comment=words(0, MAX_REASON),
    expires=time,
    request_sha256=digest,
    verdict=one_of("approve", "deny"),
)
_CANCEL = _shaped(by=name, comment=words(0, MAX_REASON), request_sha256=digest)
_START = _shaped(by=name, expires=time, request_sha256=digest)
_FETCH = _START  # the same fields, for another purpose
_REVIEW = _shaped(by=name, comment=words(1, MAX_REASON), request_sha256=digest)


def _prev(value: Any, field: str) -> None:
    if value != "":
        digest(value, field)


_KEY_LINE = re.compile(r"[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,1024}={0,2}\Z")
_ABILITY = re.compile(r"(\*|[a-z][a-z0-9-]{0,31})\Z")
_abilities = listed(like(_ABILITY, "an action or *"), 0, 64)
_ROSTER = _shaped(
    people=mapped(
        NAME,
        shaped(
            attrs=mapped(NAME, words(0, 200), 0, 16),
            keys=listed(
                shaped(
                    hardware=one_of("proven", "not-proven"),
                    id=name,
                    not_after=time,
                    not_before=time,
                    pub=like(_KEY_LINE, "a public key without options and comment"),
                    revoked=time,
                ),
                0,
                8,
            ),
            name=words(1, 100),
            roles=listed(name, 0, 16),
            when=empty,
        ),
        1,
        128,
    ),
    prev=_prev,
    quorum=whole(QUORUM, 8),
    roles=mapped(
        NAME, shaped(approve=_abilities, request=_abilities, **{"break": _abilities}), 1, 32
    ),
    serial=whole(1, 2**31),
)
_MANIFEST = _shaped(
    files=mapped(_PATH, digest, 1, 2048),
    model=like(MODEL, "the name of a model"),
    size=whole(0, 2**53 - 1),
    version=like(MODEL, "a version"),
)
_EVALUATION = _shaped(
    manifest_sha256=digest,
    metrics=mapped(METRIC, whole(-(2**53) + 1, 2**53 - 1), 1, 256),
    model=like(MODEL, "the name of a model"),
    version=like(MODEL, "a version"),
)


def request(data: bytes) -> dict[str, Any]:
    """A request. Its targets are sorted by host and name each host once."""
    doc = _read(data, "request", _REQUEST)
    hosts = [target["host_id"] for target in doc["targets"]]
    if hosts != sorted(set(hosts)):
        wrong("targets", "is not sorted by host_id, each host once")
    # A roster or policy travels in the parameters of the request that installs it.
    if len(hosts) == 1 and len(data) > canonical.LIMIT and not doc["action"].startswith("install-"):
        wrong("params", f"makes a request for one host longer than {canonical.LIMIT} bytes")
    if doc["expires"] <= doc["not_before"]:
        wrong("expires", "is not after not_before")
    return doc


def binding(data: bytes) -> dict[str, Any]:
    """What binds a request to one host and one boot of it."""
    return _read(data, "binding", _BINDING)


def approval(data: bytes) -> dict[str, Any]:
    """A second person's verdict."""
    return _read(data, "approval", _APPROVAL)


def cancel(data: bytes) -> dict[str, Any]:
    """A requester's withdrawal."""
    return _read(data, "cancel", _CANCEL)


def start(data: bytes) -> dict[str, Any]:
    """The start of an approved action by its requester."""
    return _read(data, "start", _START)


def review(data: bytes) -> dict[str, Any]:
    """Somebody else's look at a break-glass."""
    return _read(data, "review", _REVIEW)


def fetch(data: bytes) -> dict[str, Any]:
    """Somebody's word that they take the evidence of a request away."""
    return _read(data, "fetch", _FETCH)


def roster(data: bytes) -> dict[str, Any]:
    """People, keys and roles as to form; ``people.Roster`` checks what they say."""
    return _read(data, "roster", _ROSTER)


def policy(data: bytes) -> dict[str, Any]:
    """The rules of a host as to form; ``policy.Policy`` holds them against the floors."""
    from .fields import POLICY

    return _read(data, "policy", _shaped(**POLICY))


def manifest(data: bytes) -> dict[str, Any]:
    """The files of one version of a model: path to SHA-256, and their size together."""
    return _read(data, "manifest", _MANIFEST)


def evaluation(data: bytes) -> dict[str, Any]:
    """What was measured of one version of a model, in scaled integers."""
    return _read(data, "evaluation", _EVALUATION)
