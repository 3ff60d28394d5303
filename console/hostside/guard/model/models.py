"""Where models lie on a host, and what policy declares of them.

A declared folder (policy ``models``) holds one folder for each model: ``versions/VERSION/`` and a
link ``current`` to ``versions/VERSION``, which is what the service serves. ``docs/models.md``.
"""

from __future__ import annotations

import os
import re
import stat

from ..refused import Refused
from ..state.files import Files
from ..trust.typed import HEX64
from ..world import World
from .folders import Folder, entry, plain, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]{0,200}@sha256:[0-9a-f]{64}\Z")
CURRENT, VERSIONS, QUARANTINE = "current", "versions", ".quarantine"
IMAGE_FILE = "image.env"
_SERVED_MOST = 64


def check_name(name: str, what: str) -> str:
    """``name``, if a model or a version may be called so. Raises Refused."""
    if not NAME.match(name):
        raise Refused(
            "parameters",
            f"the {what} is not a plain name: letters, digits, dot, dash and underscore, "
            "at most 64, and a letter or digit first",
        )
    return name


def check_digest(digest: str, what: str) -> str:
    """``digest``, if it is a SHA-256 in hexadecimal. Raises Refused."""
    if not HEX64.match(digest):
        raise Refused("parameters", f"the {what} is not 64 hexadecimal digits")
    return digest


def check_facts(facts: dict[str, Any], **types: type) -> None:
    """Raise Refused unless these are the facts of that action: a host may tell a console anything,
    and plans are made of facts on both sides."""
    if set(facts) != set(types) or any(type(facts[name]) is not types[name] for name in types):
        raise Refused("facts", "the facts of this host are not those of this action")


def policy_of(world: World) -> dict[str, Any]:
    """The policy on this host, as facts need it; a plan is made from the one that was verified.

    Raises Refused.
    """
    try:
        return Files(world.place, world.mark).read_json(world.place.etc + "/policy.json")
    except FileNotFoundError:
        raise Refused("policy", "this host has no policy yet") from None


def roots(world: World) -> list[str]:
    """The folders that the policy on this host declares for models. Raises Refused."""
    folders = policy_of(world).get("models", [])
    if type(folders) is not list or any(type(folder) is not str for folder in folders):
        raise Refused("policy", "models in the policy of this host is no list of folders")
    return [plain(folder) for folder in folders]


def find(model: str, world: World) -> str:
    """The declared folder that holds ``model``. Raises Refused."""
    found = [
        root for root in roots(world)
        if os.path.isdir(world.path(f"{root}/{model}/{VERSIONS}"))
    ]  # fmt: skip
    if not found:
        raise Refused(
            "model",
            f"no model {model} with versions lies in the folders that policy.models declares",
            "docs/models.md shows the layout",
        )
    if len(found) > 1:
        raise Refused("model", f"{model} lies in more than one folder: {' and '.join(found)}")
    return found[0]


def declared(root: str, policy: dict[str, Any]) -> str:
    """``root``, if the policy declares it. Raises Refused."""
    if root not in policy["models"]:
        raise Refused("policy", f"{root} is not among the folders of policy.models")
    return root


def folder(root: str, model: str) -> str:
    """The folder of a model."""
    return f"{root}/{model}"


def version_folder(root: str, model: str, version: str) -> str:
    """The folder of one version."""
    return f"{root}/{model}/{VERSIONS}/{version}"


def read_current(at: int) -> str:
    """The version that ``current`` in the model's folder ``at`` names; empty: there is no link.

    Raises Refused where it is no link, or leads elsewhere than to one version.
    """
    found = entry(CURRENT, at)
    if found is None:
        return ""
    target = os.readlink(CURRENT, dir_fd=at) if stat.S_ISLNK(found.st_mode) else ""
    head, _, version = target.rpartition("/")
    if head != VERSIONS or not NAME.match(version):
        raise Refused(
            "model", "current is no link to versions/VERSION", "docs/models.md shows the layout"
        )
    return version


def current(root: str, model: str, world: World) -> str:
    """The version that a model's ``current`` link names; empty: there is none."""
    with Folder(world.path(folder(root, model))) as at:
        return read_current(at)


def adapter(model: str, policy: dict[str, Any]) -> dict[str, Any]:
    """What policy.health declares of a model: how its service is found well. Raises Refused."""
    found: dict[str, Any] | None = policy["health"].get(model)
    if found is None:
        raise Refused(
            "health",
            f"policy.health declares no service and no health check for the model {model}",
            "install a policy that does: docs/models.md",
        )
    if found["service"] not in policy["services"]:
        raise Refused("policy", f"{found['service']} is not among policy.services")
    return found


def image_of(data: bytes | None) -> str:
    """The image that a version's ``image.env`` names: one line ``IMAGE=NAME@sha256:DIGEST``.

    Raises Refused.
    """
    text = (data or b"").decode("ascii", "replace").strip()
    name, _, image = text.partition("=")
    if name != "IMAGE" or not IMAGE.match(image):
        raise Refused(
            "image", f"{IMAGE_FILE} of this version is not one line IMAGE=NAME@sha256:DIGEST"
        )
    return image


def earlier(version: str, than: str) -> bool:
    """Whether ``version`` comes before ``than`` as people count: 1.9 before 1.10."""
    return _parts(version) < _parts(than)


def _parts(version: str) -> list[tuple[int, int, str]]:
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.findall(r"[0-9]+|[^0-9._-]+", version)
    ]


def served(root: str, model: str, world: World) -> list[str]:
    """Versions that the guard itself has switched to, or away from when root alone could have set
    them, the newest last. What ``current`` leads to proves nothing: the account that owns its
    folder may change it."""
    try:
        data = Files(world.place, world.mark).read(_record(root, model, world), 1 << 13)
    except FileNotFoundError:
        return []
    return [line for line in data.decode("ascii", "replace").split() if NAME.match(line)]


def last(root: str, model: str, world: World) -> str:
    """The version that was served last by the guard, else by root; empty: nobody can say."""
    known = served(root, model, world)
    if known:
        return known[-1]
    return current(root, model, world) if roots_own(root, model, world) else ""


def roots_own(root: str, model: str, world: World) -> bool:
    """Whether root alone may change what ``current`` leads to."""
    with Folder(world.path(root)) as above, Folder(model, above) as at:
        link = entry(CURRENT, at)
        found = [os.fstat(above), os.fstat(at)]
    own = os.geteuid()  # the guard is root
    if link is None or link.st_uid != own:
        return False
    return all(each.st_uid == own and not each.st_mode & 0o022 for each in found)


def remember_served(root: str, model: str, versions: list[str], world: World) -> None:
    """Note which versions were served, in that order, so that a way back to them is known."""
    path = _record(root, model, world)
    files = Files(world.place, world.mark)
    files.folder(os.path.dirname(path))
    lines = list(dict.fromkeys(reversed(versions)))[:_SERVED_MOST][::-1]
    files.write(path, ("\n".join(lines) + "\n").encode("ascii"))


def _record(root: str, model: str, world: World) -> str:
    return f"{world.place.state}/served/{root[1:].replace('/', '+')}+{model}"


def is_current(path: str, root: str, world: World) -> str:
    """The model whose served version is ``path``, lies in it, or has it inside; empty: none.

    Only the folder of the model that ``path`` belongs to has to be looked at.
    """
    rest = path[len(root) + 1 :].split("/") if under(path, root) else []
    if rest and rest[0] == QUARANTINE:
        return ""
    names = [rest[0]] if rest else sorted(os.listdir(world.path(root)))
    for model in names:
        where = world.path(folder(root, model))
        if not stat.S_ISDIR(os.lstat(where).st_mode):
            continue
        with Folder(where) as at:
            version = read_current(at)
        if not version or not os.path.isdir(world.path(version_folder(root, model, version))):
            continue
        serving = version_folder(root, model, version)
        if path == serving or under(path, serving) or under(serving, path):
            return model
    return ""
