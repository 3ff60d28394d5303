"""What the witness store holds of one host, in the form in which a verification takes it."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from console.audit.checkpoint import BadCheckpoint, Checkpoint, read
from console.audit.report import Report
from console.audit.verify import Material, Remembered
from console.hostside.guard.trust.sshsig import fingerprint
from console.store.witness import Witness


def recall(
    witness: Witness,
    host: str,
    peers: Sequence[tuple[str, Checkpoint]] = (),
    rosters: Collection[str] = (),
) -> Remembered:
    """All that is kept of ``host``; of ``peers`` those of the same log. Raises StoreError."""
    pinned = witness.pinned(host)
    identity = witness.newest(host, "identity")
    checkpoints = kept_checkpoints(witness, host)
    names = {seen.origin for seen in checkpoints}
    return Remembered(
        key=pinned[0] if pinned else b"",
        how=pinned[1] if pinned else "",
        checkpoints=checkpoints,
        peers=[each for each in peers if each[1].origin in names] if names else list(peers),
        sent=witness.all_sent(host),
        requests=witness.seen(host, "request"),
        records=witness.seen(host, "record"),
        rosters=rosters,
        replaced=[
            f"the pinned audit key was replaced here by a person on "
            f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%MZ}: {fingerprint(old)} before, "
            f"{fingerprint(new)} since"
            for at, old, new in witness.repinned(host)
        ],
        host_id=_host_id(identity.data) if identity else "",
    )


def _host_id(identity: bytes) -> str:
    try:
        found = msgspec.json.decode(identity, type=dict[str, str])
    except msgspec.MsgspecError:
        return ""  # somebody changed the database: it says nothing
    return found.get("host_id", "")


def kept_checkpoints(witness: Witness, host: str) -> list[Checkpoint]:
    """Every checkpoint that was kept, each checked again. Raises StoreError."""
    found = []
    for seen in witness.seen(host, "checkpoint"):
        try:
            found.append(read(seen.data))
        except BadCheckpoint:
            continue  # somebody changed the database: it proves nothing
    return found


def remember(witness: Witness, material: Material, kept: Remembered, report: Report) -> None:
    """After a verification: keep the newest checkpoint where its key is the pinned one, and where
    nothing was wrong, note which checkpoints are prefixes of one log. A key is pinned here only
    where it came from the host itself and nothing was wrong; a file may be anybody's. Raises
    StoreError."""
    host = material.host
    every = list(kept.checkpoints)
    try:
        newest = read(material.checkpoint) if material.checkpoint else None
    except BadCheckpoint:
        newest = None
    key = kept.key
    if newest is not None and not key and material.fetched and not report.wrong:
        key = witness.pin(host, newest.key, "first-sight")
    if newest is not None and newest.key == key:
        witness.keep(host, "checkpoint", newest.size, newest.dump())
        every.append(newest)
    if not report.wrong:
        proved = {seen.body: (seen.size, seen.body.encode()) for seen in every}
        witness.keep_all(host, "proved", list(proved.values()))


def provable(witness: Witness, host: str) -> list[tuple[str, Checkpoint, int]]:
    """The checkpoints of a host for a peer, each with the time at which it was proved (0: never).

    Raises StoreError.
    """
    proved = {seen.data.decode("utf-8", "replace"): int(seen.at) for seen in
              witness.seen(host, "proved")}  # fmt: skip
    return [(host, c, proved.get(c.body, 0)) for c in kept_checkpoints(witness, host)]
