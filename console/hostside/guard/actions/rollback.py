"""rollback-model: back to an earlier version, checked, or back to where it was."""

from __future__ import annotations

from ..model import models
from ..refused import Refused
from . import serving
from .base import NEUTRAL, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World


class RollbackModel(Action):
    """``{"model", "to"}``. The version must have been served by the guard before, or come before
    the one that it served last, by its number: a newer one needs an evaluation report
    (``promote-model``)."""

    name = "rollback-model"
    words = "Serve an earlier version of a model, checked before and after"
    direction = NEUTRAL
    dead_man = "none"
    long = True

    def check(self, params: dict[str, Any]) -> None:
        """A model and a version by plain names."""
        exactly(params, model=str, to=str)
        models.check_name(params["model"], "model")
        models.check_name(params["to"], "version")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """Where it lies, what is served, whose manifest the version has."""
        return serving.facts_of(params["model"], params["to"], self.name, world)

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """The switch, to an earlier version only."""
        models.check_facts(facts, **serving.FACTS)
        plan = serving.switch(params["model"], params["to"], facts, policy)
        than = facts["than"]
        if not facts["served"] and not than:
            raise Refused(
                "not-earlier",
                f"the guard has served no version of {params['model']} yet, and others than root "
                f"may change what current leads to: nothing says that {params['to']} is earlier",
                "make the model's folder root's own (docs/models.md), or use promote-model",
            )
        if not facts["served"] and not models.earlier(params["to"], than):
            raise Refused(
                "not-earlier",
                f"version {params['to']} was never served here and is not before {than}",
                "promote-model takes a new version, with its evaluation report",
            )
        return plan

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the host says would happen."""
        return serving.preview_of(params["model"], params["to"], plan, world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The model and where to."""
        return [("model", params["model"]), ("back to version", params["to"])]
