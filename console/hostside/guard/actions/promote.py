"""promote-model: a new version is served, if its evaluation is good enough and signed."""

from __future__ import annotations

from ..model import manifest, models
from ..model.folders import Folder
from ..refused import Refused
from . import serving
from .base import NEUTRAL, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World


class PromoteModel(Action):
    """``{"model", "version", "evaluation_sha256", "manifest_sha256"}``."""

    name = "promote-model"
    words = "Serve a new version of a model that was evaluated within the declared limits"
    direction = NEUTRAL
    dead_man = "none"
    long = True

    def check(self, params: dict[str, Any]) -> None:
        """A model and a version by plain names, and the digests of both documents."""
        exactly(params, model=str, version=str, evaluation_sha256=str, manifest_sha256=str)
        models.check_name(params["model"], "model")
        models.check_name(params["version"], "version")
        models.check_digest(params["evaluation_sha256"], "evaluation digest")
        models.check_digest(params["manifest_sha256"], "manifest digest")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """As for a rollback, and the evaluation report: its digest, signer and metrics."""
        model, version = params["model"], params["version"]
        found = serving.facts_of(model, version, self.name, world)
        limits = models.policy_of(world).get("evaluation")
        names = set(limits) if type(limits) is dict else set()
        with Folder(world.path(models.version_folder(found["root"], model, version))) as at:
            known = manifest.trusted(at, model, version, self.name, world)
            report = manifest.trusted_evaluation(at, known, world)
        found["evaluation"] = {
            "metrics": {
                name: value for name, value in report.doc["metrics"].items() if name in names
            },
            "sha256": report.digest,
            "signer": report.by,
        }
        return found

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """The switch, if every metric that policy bounds was measured and is within."""
        models.check_facts(facts, evaluation=dict, **serving.FACTS)
        report = facts["evaluation"]
        models.check_facts(report, metrics=dict, sha256=str, signer=str)
        if any(type(value) is not int for value in report["metrics"].values()):
            raise Refused("facts", "the metrics that this host tells are not whole numbers")
        if facts["manifest"] != params["manifest_sha256"]:
            raise Refused("manifest", "the manifest on the host is not the one that was named")
        if report["sha256"] != params["evaluation_sha256"]:
            raise Refused("evaluation", "the evaluation on the host is not the one that was named")
        if not policy["evaluation"]:
            raise Refused(
                "evaluation",
                "policy.evaluation bounds no metric, so nothing says what is good enough",
                "install a policy that does: docs/models.md",
            )
        for metric in sorted(policy["evaluation"]):
            within(metric, report["metrics"].get(metric), policy["evaluation"][metric])
        return serving.switch(
            params["model"], params["version"], facts, policy, params["evaluation_sha256"]
        )

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the host says would happen."""
        found = serving.preview_of(params["model"], params["version"], plan, world)
        found["effect"].append(f"evaluation report {params['evaluation_sha256'][:16]} is in bounds")
        return found

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The model, the version, and what vouches for it."""
        return [
            ("model", params["model"]),
            ("new version", params["version"]),
            ("manifest", params["manifest_sha256"]),
            ("evaluation", params["evaluation_sha256"]),
        ]


def within(metric: str, value: int | None, bounds: dict[str, int]) -> None:
    """Raise Refused unless a metric was measured and is within its bounds."""
    if value is None:
        raise Refused("evaluation", f"the evaluation does not say {metric}, which policy bounds")
    if "min" in bounds and value < bounds["min"]:
        raise Refused("evaluation", f"{metric} is {value}, below the {bounds['min']} of the policy")
    if "max" in bounds and value > bounds["max"]:
        raise Refused("evaluation", f"{metric} is {value}, above the {bounds['max']} of the policy")
