"""The files of one version of a model, compared with its signed manifest."""

from __future__ import annotations

from ..model import manifest, models
from ..model.folders import Failing, Folder, plain, read_small
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

_ARGS = {"root", "model", "version", "manifest", "evaluation", "image"}


class VerifyManifest(Step):
    """The version in ``root``/``model`` is what the manifest with the SHA-256 ``manifest`` says,
    and somebody of the roster has signed that.

    ``evaluation``: the SHA-256 of its evaluation report, empty where none is asked for; ``image``:
    what its ``image.env`` must name, empty where ``current`` is what is served.
    """

    kind = "verify"
    undoable = False

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused unless names are plain and digests are digests."""
        if set(args) != _ARGS or any(type(value) is not str for value in args.values()):
            raise Refused("step", "verify takes root, model, version, manifest, evaluation, image")
        plain(args["root"])
        models.check_name(args["model"], "model")
        models.check_name(args["version"], "version")
        models.check_digest(args["manifest"], "manifest digest")
        if args["evaluation"]:
            models.check_digest(args["evaluation"], "evaluation digest")

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which files, and by which signed documents."""
        lines = [
            f"every file of version {args['version']} of {args['model']} in {args['root']} is "
            f"compared with the signed manifest {args['manifest']}; it goes on only if all agree"
        ]
        if args["evaluation"]:
            lines.append(f"its signed evaluation report must be {args['evaluation']}")
        if args["image"]:
            lines.append(f"its container image must be {args['image']}")
        return lines

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Read every file. Raises StepFailed naming the first that is not as it should be."""
        name = f"version {args['version']} of {args['model']}"
        path = models.version_folder(args["root"], args["model"], args["version"])
        with Failing(name), Folder(world.path(path)) as at:
            purpose = manifest.PROMOTE if args["evaluation"] else manifest.ROLLBACK
            found = manifest.trusted(at, args["model"], args["version"], purpose, world)
            if found.digest != args["manifest"]:
                raise StepFailed(f"the manifest of {name} is not the one that was signed for")
            if args["evaluation"]:
                report = manifest.trusted_evaluation(at, found, world)
                if report.digest != args["evaluation"]:
                    raise StepFailed(f"the evaluation of {name} is not the one that was signed for")
            manifest.check(at, found.doc, world.progress)
            if args["image"]:
                named = models.image_of(read_small(models.IMAGE_FILE, at, 4096))
                if named != args["image"]:
                    raise StepFailed(f"{name} names another image than was signed for")
        return {"files": len(found.doc["files"]), "bytes": found.doc["size"], "signer": found.by}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Nothing was changed."""
