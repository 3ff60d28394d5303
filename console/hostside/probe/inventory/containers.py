"""Table ``containers``: by the files in which the runtimes keep their state, and by processes."""

from __future__ import annotations

import json
import os
import re

from ..place import Place, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

DOCKER = "/var/lib/docker"
PODMAN = "/var/lib/containers/storage"
CONTAINERD = "/run/containerd/io.containerd.runtime.v2.task"
RIGHT = "CAP_DAC_READ_SEARCH or root (tier 2)"
MAX_CONTAINERS = 2_000
MAX_FILE = 4 << 20

_id = re.compile(r"[0-9a-f]{64}\Z")
_digest = re.compile(r"sha256:[0-9a-f]{64}\Z")


def _load(path: str) -> Any:
    try:
        return json.loads(slurp_all(path, MAX_FILE))
    except ValueError:
        return None


def _text(value: Any, limit: int = 300) -> str:
    return words(value, limit) if isinstance(value, str) else ""


def _first(names: Any) -> str:
    return _text(names[0]) if isinstance(names, list) and names else ""


def _table(whole: dict[str, Any], name: str) -> dict[str, Any]:
    value = whole.get(name)
    return value if isinstance(value, dict) else {}


def docker_row(config: Any) -> list[Any] | None:
    """Row of a ``config.v2.json`` of Docker."""
    if not isinstance(config, dict) or not _id.match(str(config.get("ID"))):
        return None
    state, inner = _table(config, "State"), _table(config, "Config")
    image = str(config.get("Image", ""))
    word = "running" if state.get("Running") else "exited"
    word = "paused" if state.get("Paused") else word
    pid = state.get("Pid")
    return [
        config["ID"], _text(config.get("Name")).lstrip("/"), _text(inner.get("Image")),
        image if _digest.match(image) else "", "docker", word,
        pid if isinstance(pid, int) and pid > 0 else None,
    ]  # fmt: skip


def podman_rows(listing: Any, images: Any) -> list[list[Any]]:
    """Rows of ``overlay-containers/containers.json``, with digests of ``images.json``."""
    digests = {}
    for image in images if isinstance(images, list) else []:
        if isinstance(image, dict):
            digests[str(image.get("id"))] = (
                _text(image.get("digest")), _first(image.get("names"))
            )  # fmt: skip
    out = []
    for item in listing if isinstance(listing, list) else []:
        if not isinstance(item, dict) or not _id.match(str(item.get("id"))):
            continue
        digest, image = digests.get(str(item.get("image")), ("", ""))
        name = _first(item.get("names"))
        out.append([item["id"], name, image, digest, "podman", "unknown", None])
    return out


def _docker(place: Place) -> Iterator[Any]:
    folder = place.path(DOCKER + "/containers")
    for name in sorted(os.listdir(folder))[:MAX_CONTAINERS]:
        try:
            row = docker_row(_load(f"{folder}/{name}/config.v2.json"))
        except OSError:
            continue
        if row is not None:
            yield row


def _podman(place: Place) -> Iterator[Any]:
    base = place.path(PODMAN)
    listing = _load(f"{base}/overlay-containers/containers.json")
    try:
        images = _load(f"{base}/overlay-images/images.json")
    except FileNotFoundError:
        images = []
    yield from podman_rows(listing, images)


def _by_processes(context: Context) -> dict[str, list[Any]]:
    """Containers that show only through the control groups of their processes."""
    found: dict[str, list[Any]] = {}
    for process in context.processes():
        name = process.get("container") or ""
        if name and name not in found and len(found) < MAX_CONTAINERS:
            cgroup = process.get("cgroup") or ""
            runtime = next(
                (word for word in ("docker", "libpod", "crio", "nspawn") if word in cgroup),
                "containerd",
            )
            runtime = "podman" if runtime == "libpod" else runtime
            found[name] = [name, "", "", "", runtime, "running", process.get("pid")]
    return found


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table."""
    place = context.place
    rows: dict[str, list[Any]] = {}
    refused = []
    for runtime, source in (("docker", _docker), ("podman", _podman)):
        try:
            for row in source(place):
                rows[row[0]] = row
                yield ("step",)
        except PermissionError:
            refused.append(runtime)
        except OSError:
            continue
    yield ("denied", "containers.images", RIGHT if refused else None)
    running = _by_processes(context)
    for row in rows.values():
        live = next((known for short, known in running.items() if row[0].startswith(short)), None)
        if live is not None and row[5] == "unknown":
            row[5], row[6] = "running", live[6]
    for short, row in running.items():
        if not any(full.startswith(short) for full in rows):
            rows[short] = row
    yield ("table", "containers", rows)
