"""The step of the installs: roster, policy or guard replaced by a rename, the former one kept."""

from __future__ import annotations

from ..refused import Refused
from ..state.files import Files
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WHAT = ("roster", "policy", "guard")
MAX_FILE = 1 << 20
HEX = "0123456789abcdef"


def place(what: str, world: World) -> str:
    """The file that is replaced."""
    return world.place.guard if what == "guard" else f"{world.place.etc}/{what}.json"


def present(what: str, world: World) -> str:
    """The sha256 of the one in force. Raises Refused."""
    from hashlib import sha256

    try:
        data = Files(world.place, world.mark).read(place(what, world), MAX_FILE)
    except FileNotFoundError:
        raise Refused("not-enrolled", f"there is no {what} on this host") from None
    return sha256(data).hexdigest()


class Install(Step):
    """``what``, ``sha256`` of the new one, ``former`` that of the one it replaces."""

    kind = "trust"

    def check(self, args: dict[str, Any]) -> None:
        """Types and forms."""
        if set(args) != {"what", "sha256", "former"} or args["what"] not in WHAT:
            raise Refused("step", "the step trust takes what, sha256 and former")
        for name in ("sha256", "former"):
            if type(args[name]) is not str or len(args[name]) != 64 or args[name].strip(HEX):
                raise Refused("step", f"{name} is no SHA-256")

    def words(self, args: dict[str, Any]) -> list[str]:
        """What is replaced by what."""
        return [
            f"the {args['what']} that this host trusts is replaced: {args['sha256']}",
            f"in the place of the one in force, which must be: {args['former']}",
            "every request that waits on this host is closed",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Keeps a copy of the former one, so that it can be put back; it must be the one that the
        request names."""
        files, what = Files(world.place, world.mark), args["what"]
        if present(what, world) != args["former"]:
            raise StepFailed(f"the {what} in force is not the one that the request replaces")
        source = place(what, world)
        mode = 0o755 if what == "guard" else 0o644
        files.write(f"{source}.former", files.read(source, MAX_FILE), mode)
        before = {"sigs": ""}
        if what != "guard":
            try:
                before["sigs"] = files.read(_sigs(what, world), MAX_FILE).decode("utf-8", "replace")
            except FileNotFoundError:
                pass
        return before

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Put the new one in its place."""
        from ..state.payload import kept

        files, what = Files(world.place, world.mark), args["what"]
        data, signatures = kept(files, world.place.state, world.request, args["sha256"])
        if what == "guard":
            self._try(data, args["sha256"], files, world)
            files.write(place(what, world), data, 0o755)
            return {"installed": args["sha256"]}
        self._to_chain(args, before, files, world)
        files.write_json(_sigs(what, world), {"signatures": signatures}, 0o644)
        files.write(place(what, world), data, 0o644)
        return {"installed": args["sha256"]}

    def _try(self, data: bytes, digest: str, files: Files, world: World) -> None:
        """The new guard has to run here and know its own digest before it takes the place."""
        trial = f"{world.place.guard}.trial"
        files.write(trial, data, 0o755)
        try:
            ran = world.run([trial, "--self-test"], timeout=20.0)
        finally:
            files.remove(trial)
        if ran.code or ran.out.decode("ascii", "replace").strip() != digest:
            raise StepFailed(f"the new guard does not run on this host: {ran.why}")

    def _to_chain(
        self, args: dict[str, Any], before: dict[str, Any], files: Files, world: World
    ) -> None:
        """The former document goes to the chain, named by its serial."""
        import json

        what = args["what"]
        former = files.read(f"{place(what, world)}.former", MAX_FILE)
        serial = json.loads(former)["serial"]
        folder = f"{world.place.etc}/chain"
        files.folder(folder, 0o755)
        files.write(f"{folder}/{what}-{int(serial)}.json", former, 0o644)
        if before["sigs"]:
            files.write(f"{folder}/{what}-{int(serial)}.sigs", before["sigs"].encode(), 0o644)

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Put the former one back."""
        from hashlib import sha256

        files, what = Files(world.place, world.mark), args["what"]
        former, now = b"", present(what, world)
        if now not in (args["former"], args["sha256"]):
            raise StepFailed(f"the {what} in force is another one by now; nothing was put back")
        if now != args["former"]:
            former = files.read(f"{place(what, world)}.former", MAX_FILE)
            if sha256(former).hexdigest() != args["former"]:
                raise StepFailed(f"the former {what} was changed meanwhile")
        if what != "guard" and before["sigs"]:
            files.write(_sigs(what, world), before["sigs"].encode(), 0o644)
        elif what != "guard":
            files.remove(_sigs(what, world))
        if former:
            files.write(place(what, world), former, 0o755 if what == "guard" else 0o644)


def _sigs(what: str, world: World) -> str:
    return f"{world.place.etc}/{what}.sigs"
