"""Named packages brought to named versions by the host's own package manager."""

from __future__ import annotations

from ..host import names, pkgs
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

MAX = 20


def pairs(packages: Any) -> list[tuple[str, str]]:
    """``[{"name", "version"}]`` as pairs, each name once. Raises Refused."""
    if type(packages) is not list or not 0 < len(packages) <= MAX:
        raise Refused("parameters", f"packages is a list of 1 to {MAX}")
    found = []
    for item in packages:
        if type(item) is not dict or set(item) != {"name", "version"}:
            raise Refused("parameters", "each package has a name and a version")
        name = names.text(names.PACKAGE, item["name"], "a package")
        found.append((name, names.text(names.VERSION, item["version"], "a package's version")))
    if len({name.partition(":")[0] for name, _ in found}) != len(found):
        raise Refused("parameters", "a package is named twice")
    return found


class Install(Step):
    """``{"packages", "tool"}`` with ``apt`` or ``dnf``."""

    kind = "packages"
    undoable = False

    def check(self, args: dict[str, Any]) -> None:
        """Names and versions, and the tool."""
        if set(args) != {"packages", "tool"} or args["tool"] not in ("apt", "dnf"):
            raise Refused("step", "the step packages takes packages, and the tool apt or dnf")
        pairs(args["packages"])

    def words(self, args: dict[str, Any]) -> list[str]:
        """Each package with its version, and by what."""
        listed = pairs(args["packages"])
        return [
            *(f"{args['tool']} installs {name}={version}" for name, version in listed),
            "from the host's own repositories; refused where any other package would come, change "
            "or go",
            "not undone: an older version may not fit what the newer one wrote",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """The versions that are installed: ``versions`` is a list of name and version."""
        found = pkgs.installed([name for name, _ in pairs(args["packages"])], args["tool"], world)
        return {"versions": [[name, found[name]] for name in sorted(found)]}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Try it dry, refuse what was not asked for, do it, and look what is installed then."""
        packages, by = pairs(args["packages"]), args["tool"]
        wanted = [name for name, _ in packages]
        world.progress(0, 3, "asks the package manager what it would do")
        pkgs.settle(wanted, by, world)
        have = pkgs.installed(wanted, by, world)
        why = pkgs.objection(packages, pkgs.dry_run(packages, by, world), have)
        if why:
            world.progress(0, 3, "reads the repositories again")
            stale = pkgs.refresh(by, world)
            why = pkgs.objection(packages, pkgs.dry_run(packages, by, world), have)
            if why:
                also = f"; the repositories could not be read: {stale}" if stale else ""
                raise StepFailed(why + also)
        world.mark("packages.checked")
        world.progress(1, 3, "installs")
        failed = "" if have == dict(packages) else pkgs.install(packages, by, world)
        world.mark("packages.installed")
        if failed:
            raise StepFailed(f"the package manager failed: {failed}")
        world.progress(2, 3, "looks at what is installed")
        now = pkgs.installed(wanted, by, world)
        for name, version in packages:
            if now.get(name) != version:
                raise StepFailed(f"{name} is {now.get(name, 'not installed')}, not {version}")
        world.progress(3, 3, "is done")
        return {"versions": [[name, now[name]] for name in sorted(now)]}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Nothing: an older version may not fit what the newer one wrote."""

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether these versions are installed."""
        packages = pairs(args["packages"])
        now = pkgs.installed([name for name, _ in packages], args["tool"], world)
        return all(now.get(name) == version for name, version in packages)
