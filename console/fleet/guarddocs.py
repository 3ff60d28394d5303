"""The published documents of one host's guard: asked for by digest, checked, bounded."""

import binascii
import hashlib

from console.model.frame import GuardDoc, PendingDoc
from console.model.guard import GuardDocs
from console.text import clean

KINDS = ("request", "state", "checkpoint", "tail")
STAYS = ("state", "checkpoint", "tail")
"""Kinds of which there is one: the one before it stands until the newer has come."""
MAX_DOCS = 40
MAX_DOC = 384 << 10
"""Bytes of one: an envelope with a request of 128 KiB, its binding and its decisions."""
MAX_BYTES = 4 << 20
"""Bytes of all documents of one host."""
AT_ONCE = 4
ASK_AGAIN_S = 10.0
TRIES = 3


class DocKeeper:
    """Which documents a host names, which of them are here, and which to ask for."""

    def __init__(self) -> None:
        self._named: dict[str, PendingDoc] = {}
        self._have: dict[str, bytes] = {}
        self._before: dict[str, tuple[str, bytes]] = {}  # kind: digest, bytes
        self._asked: dict[str, float] = {}  # digest: when
        self._tries: dict[str, int] = {}
        self._trouble = ""
        self._seen = False
        self._boot = ""
        self._made: GuardDocs | None = None

    def begin(self) -> None:
        """A new stream: nothing that was asked for will be answered, nothing is named yet."""
        self._asked.clear()
        self._tries.clear()

    def named(self, docs: tuple[PendingDoc, ...], boot: str) -> None:
        """The host's whole list."""
        self._made = None
        self._seen = True
        self._boot = boot
        self._trouble = ""
        kept: dict[str, PendingDoc] = {}
        total = 0
        for doc in docs:
            if doc.kind not in KINDS or doc.sha256 in kept:
                continue
            total += doc.size
            if len(kept) >= MAX_DOCS or total > MAX_BYTES or not 0 < doc.size <= MAX_DOC:
                self._trouble = "its guard names more or larger documents than are read"
                continue
            kept[doc.sha256] = doc
        for digest, doc in self._named.items():
            if doc.kind in STAYS and digest in self._have and digest not in kept:
                self._before[doc.kind] = (digest, self._have[digest])
        self._named = kept
        self._have = {digest: data for digest, data in self._have.items() if digest in kept}
        self._asked = {digest: at for digest, at in self._asked.items() if digest in kept}
        self._tries = {digest: n for digest, n in self._tries.items() if digest in kept}
        self._forget_before()

    def wanted(self, now: float) -> list[str]:
        """Digests to ask for now, at most as many as may be under way at once."""
        under_way = sum(now - at < ASK_AGAIN_S for at in self._asked.values())
        out: list[str] = []
        for digest in self._named:
            if under_way + len(out) >= AT_ONCE:
                break
            asked = self._asked.get(digest)
            waits = asked is not None and now - asked < ASK_AGAIN_S
            if digest in self._have or waits or self._tries.get(digest, 0) >= TRIES:
                continue
            out.append(digest)
        for digest in out:
            self._asked[digest] = now
            self._tries[digest] = self._tries.get(digest, 0) + 1
        return out

    def got(self, answer: GuardDoc) -> bool:
        """Take an answer; True where it is a document that was asked for and has its digest."""
        doc = self._named.get(answer.sha256)
        if doc is None or self._asked.pop(answer.sha256, None) is None:
            return False
        self._made = None
        data = _bytes(answer)
        if data is None or hashlib.sha256(data).hexdigest() != answer.sha256:
            said = clean(answer.error, 120) or "it does not have that digest"
            self._trouble = f"a document of its guard could not be had: {said}"
            return False
        self._have[answer.sha256] = data
        self._forget_before()
        return True

    def _forget_before(self) -> None:
        """The older of a kind goes when the newer has come, or is named no more."""
        for kind in list(self._before):
            newer = [d for d, doc in self._named.items() if doc.kind == kind]
            if not newer or any(digest in self._have for digest in newer):
                del self._before[kind]

    def view(self) -> GuardDocs | None:
        """All that is here; None where no guard was seen."""
        if not self._seen:
            return None
        if self._made is None:
            docs = [(self._named[d].kind, d, data) for d, data in self._have.items()]
            docs += [(kind, digest, data) for kind, (digest, data) in self._before.items()]
            self._made = GuardDocs(
                boot_id=self._boot,
                docs=tuple(docs),
                missing=len(self._named) - len(self._have),
                trouble=self._trouble,
            )
        return self._made


def _bytes(answer: GuardDoc) -> bytes | None:
    if answer.error or len(answer.b64) > MAX_DOC * 2:
        return None
    try:
        return binascii.a2b_base64(answer.b64, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
