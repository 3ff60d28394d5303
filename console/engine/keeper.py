"""Folds what memory holds of each host into minutes and quarters of an hour, for the store."""

import asyncio
from collections.abc import Sequence

from console.clock import Clock
from console.fleet.session import Session
from console.store.writer import HistoryRow, Store

MINUTE = 60
QUARTER = 900
HOST_SERIES = (
    "cpu_pct", "mem_pct", "rx_bps", "tx_bps", "psi_mem", "gpu_util_pct", "gpu_power_w",
)  # fmt: skip


def fold(session: Session, begin: int, step: int) -> HistoryRow | None:
    """One step of all series of a host that are kept, from its hour in memory."""
    numbers = {}
    for name in HOST_SERIES:
        _, points = session.history.series(name, begin)
        within = [point for point in points if begin <= point.at < begin + step]
        if within:
            low = min(point.low for point in within)
            high = max(point.high for point in within)
            numbers[name] = (low, high, within[-1].last)
    return HistoryRow(session.spec.name, step, begin, numbers) if numbers else None


class Keeper:
    """Runs until cancelled; handles a sixtieth of the fleet each second, never all at once."""

    def __init__(self, sessions: Sequence[Session], store: Store, clock: Clock) -> None:
        self._sessions = sessions
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Keep each host's last full minute once a minute, its last quarter once a quarter."""
        second = int(self._clock.wall())
        while True:
            await asyncio.sleep(1.0)
            now = int(self._clock.wall())
            for moment in range(max(second, now - 120) + 1, now + 1):
                self._keep(moment)
            second = now

    def _keep(self, moment: int) -> None:
        minute = moment // MINUTE * MINUTE
        for session in self._sessions[moment % MINUTE :: MINUTE]:
            self._put(session, minute - MINUTE, MINUTE)
            if minute % QUARTER == 0:
                self._put(session, minute - QUARTER, QUARTER)

    def _put(self, session: Session, begin: int, step: int) -> None:
        row = fold(session, begin, step)
        if row is not None:
            self._store.put(row)

    def rest(self) -> None:
        """Keep the minute that is not over yet; for the end."""
        begin = int(self._clock.wall()) // MINUTE * MINUTE
        for session in self._sessions:
            self._put(session, begin, MINUTE)
