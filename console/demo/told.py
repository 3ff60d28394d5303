"""The stages of the demo's incident as events, for faces that cover what was printed before."""

from collections.abc import Callable, Iterator, Sequence

from console.demo.run import Begun
from console.demo.timeline import Stage
from console.model.event import Event


class StageEvents:
    """Makes one event (``demo.stage``) of each stage, when it has begun."""

    def __init__(self, script: Sequence[Stage], begun: Callable[[], Sequence[Begun]]) -> None:
        self._stages = {stage.id: stage for stage in script}
        self._begun = begun
        self._told = 0

    def __call__(self) -> Iterator[Event]:
        """Events of the stages that have begun since the last call."""
        begun = self._begun()[self._told :]
        self._told += len(begun)
        for one in begun:
            stage = self._stages[one.id]
            yield Event(
                kind="demo.stage",
                host=stage.host,
                at=one.at,
                key=stage.id,
                facts={"see": stage.see},
            )
