"""What ``rollback-model`` and ``promote-model`` share: facts of a version, and the switch to it."""

from __future__ import annotations

from ..model import manifest, models
from ..model.folders import Folder, read_small
from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

LEAST_FREE = 64 << 20
FILES_FREE = 16
FACTS = {
    "files": int, "from": str, "image": str, "manifest": str, "root": str, "served": bool,
    "signer": str, "size": int, "than": str,
}  # fmt: skip


def facts_of(model: str, version: str, purpose: str, world: World) -> dict[str, Any]:
    """Where the model lies, what is served, and the version's signed manifest; ``than`` is the
    version that was served last by the guard, or by root, empty: nobody can say. Raises Refused."""
    root = models.find(model, world)
    try:
        with Folder(world.path(models.version_folder(root, model, version))) as at:
            found = manifest.trusted(at, model, version, purpose, world)
            line = read_small(models.IMAGE_FILE, at, 4096)
    except FileNotFoundError:
        raise Refused("model", f"the model {model} has no version {version} here") from None
    image = ""
    if line is not None and models.IMAGE_FILE in found.doc["files"]:
        image = models.image_of(line)
    return {
        "files": len(found.doc["files"]),
        "from": models.current(root, model, world),
        "image": image,
        "manifest": found.digest,
        "root": root,
        "served": version in models.served(root, model, world),
        "signer": found.by,
        "size": found.doc["size"],
        "than": models.last(root, model, world),
    }


def switch(
    model: str, version: str, facts: dict[str, Any], policy: dict[str, Any], evaluation: str = ""
) -> dict[str, Any]:
    """The plan: room, manifest, link and service, health, manifest again. Raises Refused."""
    models.check_facts({name: facts.get(name) for name in FACTS}, **FACTS)
    models.check_digest(facts["manifest"], "manifest digest")
    if facts["from"]:
        models.check_name(facts["from"], "version")
    if facts["image"]:
        models.image_of(b"IMAGE=" + facts["image"].encode())
    root = models.declared(facts["root"], policy)
    adapter = models.adapter(model, policy)
    if facts["from"] == version:
        raise Refused("model", f"version {version} of {model} is the one that is served now")
    image = ""
    if adapter["kind"] == "image":
        image = facts["image"]
        if not image:
            raise Refused(
                "image",
                f"version {version} of {model} has no {models.IMAGE_FILE} in its manifest",
                "docs/models.md shows how a version names its container image",
            )
    verify = {
        "kind": "verify",
        "args": {
            "evaluation": evaluation, "image": image, "manifest": facts["manifest"],
            "model": model, "root": root, "version": version,
        },
    }  # fmt: skip
    room = max(LEAST_FREE, facts["size"] // 100)
    steps = [
        {
            "kind": "space",
            "args": {
                "bytes": room, "files": FILES_FREE, "path": models.folder(root, model),
            },
        },
        verify,
        {
            "kind": "link",
            "args": {
                "from": facts["from"], "model": model, "root": root,
                "service": adapter["service"], "to": version,
            },
        },
        {
            "kind": "health",
            "args": {
                "expect": adapter["expect"], "seconds": adapter["timeout_s"],
                # A container may answer by a process of its engine's.
                "service": adapter["service"] if adapter["kind"] == "link" else "",
                "url": adapter["url"],
            },
        },
        verify,
    ]  # fmt: skip
    return {"steps": steps, "confirm_s": 0, "ttl_s": 0}


def preview_of(
    model: str, version: str, plan: dict[str, Any], world: World
) -> dict[str, list[str]]:
    """What the host says would happen."""
    by_kind = {step["kind"]: step["args"] for step in plan["steps"]}
    link, health, verify = by_kind["link"], by_kind["health"], by_kind["verify"]
    before = link["from"] or "none"
    back = f"return to version {before}" if link["from"] else "return to no version and stop it"
    effect = [
        f"{model}: version {before} -> {version}",
        f"every file is compared with manifest {verify['manifest'][:16]}, before and after",
        f"{link['service']} is restarted",
        f"health check: {health['url']} answers {health['expect']} three times in a row within "
        f"{health['seconds']} s, else automatic {back}",
    ]
    residual = ["answers that clients and caches already have stay there"]
    if verify["image"]:
        effect.append(f"container image: {verify['image']}")
        residual.append(_image(verify["image"], world))
    return {
        "effect": effect,
        "residual": [line for line in residual if line],
        "cut_off": [f"every request that {link['service']} is answering at that moment"],
        "remains": [f"version {before} stays where it is"] if link["from"] else [],
    }


def _image(image: str, world: World) -> str:
    """A warning where no engine of this host has the image yet."""
    for engine, words in (("podman", ("image", "exists")), ("docker", ("image", "inspect"))):
        if world.has(engine) and world.run([engine, *words, image]).code == 0:
            return ""
    return f"the image {image} was not found on this host: the service would have to fetch it"
