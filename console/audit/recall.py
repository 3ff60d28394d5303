"""What the witness store holds of one host, in the form in which a verification takes it."""

from collections.abc import Collection, Sequence

from console.audit.checkpoint import BadCheckpoint, Checkpoint, read
from console.audit.report import Report
from console.audit.verify import Material, Remembered
from console.store.witness import Witness


def recall(
    witness: Witness,
    host: str,
    peers: Sequence[tuple[str, Checkpoint]] = (),
    rosters: Collection[str] = (),
) -> Remembered:
    """All that is kept of ``host``; of ``peers`` those of the same log. Raises StoreError."""
    pinned = witness.pinned(host)
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
    )


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
    """After a verification: keep the newest checkpoint, pin its key at first sight, and where
    nothing was wrong, note which checkpoints are prefixes of one log. Raises StoreError."""
    host = material.host
    every = list(kept.checkpoints)
    try:
        newest = read(material.checkpoint) if material.checkpoint else None
    except BadCheckpoint:
        newest = None
    if newest is not None and witness.pin(host, newest.key, "first-sight") == newest.key:
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
