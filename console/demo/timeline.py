"""When the stages of the incident begin: ``incident.toml``, read and stepped through."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.demo.simulate import STEP_S, SimState
from console.demo.stages import KINDS, Door, Lasting

HERE = Path(__file__).resolve().parent
QUIET_S = 30.0
"""Until then no stage takes a host away."""

TAKES_AWAY = ("silence", "gone", "host-key")
BY_HAND = ("brute-force", "login", "new-listener", "gpu-process", "open-weights", "egress")
"""What the attacker does over the network: not on a host that is isolated."""


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of the incident; ``at`` is in seconds of simulated time."""

    id: str
    at: float
    host: str
    kind: str
    see: str = ""  # where a person finds it
    params: dict[str, Any] = {}


class _Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stages: tuple[Stage, ...]


def stages(path: Path | None = None) -> tuple[Stage, ...]:
    """The stages of an incident file in the order of time; the shipped one by default.

    Raises ValueError for an unknown kind, an id that is there twice, or a stage that takes a host
    away within the first 30 s.
    """
    text = (path or HERE / "incident.toml").read_text(encoding="utf-8")
    out = sorted(msgspec.convert(tomllib.loads(text), _Incident).stages, key=lambda s: s.at)
    seen: set[str] = set()
    for stage in out:
        if stage.kind not in KINDS:
            raise ValueError(f"stage {stage.id}: no kind {stage.kind}; known: {', '.join(KINDS)}")
        if stage.id in seen:
            raise ValueError(f"stage {stage.id} is there twice")
        if stage.kind in TAKES_AWAY and stage.at < QUIET_S:
            raise ValueError(f"stage {stage.id} takes a host away before {QUIET_S:g} s")
        seen.add(stage.id)
    return tuple(out)


class Timeline:
    """Begins each stage when its time has come and steps those that last."""

    def __init__(
        self,
        script: tuple[Stage, ...],
        states: Mapping[str, SimState],
        doors: Mapping[str, Door],
        begun: Callable[[Stage], None],
    ) -> None:
        missing = sorted({stage.host for stage in script} - set(states))
        if missing:
            raise ValueError(f"the incident names hosts that are not there: {', '.join(missing)}")
        self._waiting = list(script)
        self._states = states
        self._doors = doors
        self._begun = begun
        self._lasting: list[Lasting] = []
        self._t = 0.0

    @property
    def done(self) -> bool:
        """True when every stage has begun and ended."""
        return not self._waiting and not self._lasting

    def advance(self, t: float) -> None:
        """Move to ``t`` seconds; several seconds are stepped one by one."""
        while self._t + STEP_S <= t:
            self._t += STEP_S
            self._lasting = [item for item in self._lasting if next(item, True) is None]
            while self._waiting and self._waiting[0].at <= self._t:
                self._begin(self._waiting.pop(0))

    def _begin(self, stage: Stage) -> None:
        state, door = self._states[stage.host], self._doors[stage.host]
        if stage.kind in BY_HAND and state.isolated:
            return
        lasting = KINDS[stage.kind](state, door, stage.params)
        if lasting is not None and next(lasting, True) is None:
            self._lasting.append(lasting)
        self._begun(stage)
