"""``apply-update``: named packages at named versions, from the host's own repositories."""

from __future__ import annotations

from ..refused import Refused
from ..world import World
from .base import NEUTRAL, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ApplyUpdate(Action):
    """``packages``: 1 to 20 of ``{"name", "version"}``, each name one of ``policy.packages``."""

    name = "apply-update"
    words = "bring named packages to named versions"
    direction = NEUTRAL
    long = True

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        from ..steps import packages

        exactly(params, packages=list)
        packages.pairs(params["packages"])

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """``tool``: ``apt`` or ``dnf``. Refused where a package is not installed: this updates."""
        from ..host import pkgs
        from ..steps import packages

        by = pkgs.tool(world)
        wanted = [name for name, _ in packages.pairs(params["packages"])]
        have = pkgs.installed(wanted, by, world)
        for name in wanted:
            if name not in have:
                raise Refused("no-package", f"{name} is not installed on this host")
        return {"tool": by}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        allowed = policy["packages"]
        for item in params["packages"]:
            if item["name"].partition(":")[0] not in allowed and "*" not in allowed:
                raise Refused(
                    "policy", f"{item['name']} is not among the packages of the policy",
                    "have policy.packages name it, by two people",
                )  # fmt: skip
        listed = [{"name": item["name"], "version": item["version"]} for item in
                  params["packages"]]  # fmt: skip
        args = {"packages": listed, "tool": facts["tool"]}
        return {"steps": [{"kind": "packages", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """The package manager's own dry run."""
        from ..host import pkgs
        from ..steps import packages

        args = plan["steps"][0]["args"]
        wanted, by = packages.pairs(args["packages"]), args["tool"]
        have = pkgs.installed([name for name, _ in wanted], by, world)
        found = pkgs.dry_run(wanted, by, world)
        effect = [f"{name} {have.get(name, 'not installed')} -> {version}" for name, version in
                  wanted]  # fmt: skip
        effect += [f"{by} says: {line}" for line in found.lines]
        why = pkgs.objection(wanted, found, have)
        residual = ["services go on with the old files until they are restarted"]
        if why:
            effect.append(f"it would be refused now: {why}; repositories are read again first")
        return {
            "effect": effect,
            "residual": residual,
            "cut_off": ["services that a package restarts by its own scripts"],
            "remains": ["it is not undone: going back to an older version is not promised"],
        }

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """Each package with its version."""
        return [("package", f"{item['name']} {item['version']}") for item in params["packages"]]
