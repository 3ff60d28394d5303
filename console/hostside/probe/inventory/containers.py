"""Table ``containers``: by the files in which the runtimes keep their state, and by processes."""

from __future__ import annotations

import json
import re

from ..place import Place, listing, read_file, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ..inventory_lane import Context

DOCKER = "/var/lib/docker"
PODMAN = "/var/lib/containers/storage"
CONTAINERD = "/run/containerd/io.containerd.runtime.v2.task"
CRIO = "/run/containers/storage/overlay-containers"
RIGHT = "CAP_DAC_READ_SEARCH or root (tier 2)"
NOT_IN_FILES = "the runtime's own database: image and digest of some containers are only there"
MAX_CONTAINERS = 2_000
CHUNK = 25
MAX_FILE = 4 << 20

_id = re.compile(r"[0-9a-f]{64}\Z")
_digest_in = re.compile(r"sha256:[0-9a-f]{64}|\b[0-9a-f]{64}\b")
_digest = re.compile(r"sha256:[0-9a-f]{64}\Z")


def _load(path: str) -> Any:
    try:
        return json.loads(read_file(path, MAX_FILE))
    except (ValueError, RecursionError):
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


def oci_row(name: str, config: Any, runtime: str) -> list[Any] | None:
    """Row of an OCI runtime configuration (``config.json``), by what the runtime noted in it.

    ``name`` is the container's id. Pods' own pause containers are left out.
    """
    if not isinstance(config, dict):
        return None
    notes = _table(config, "annotations")
    cri = "io.kubernetes.cri-o." if runtime == "crio" else "io.kubernetes.cri."
    kind = notes.get(cri + ("ContainerType" if runtime == "crio" else "container-type"))
    if kind == "sandbox":
        return None
    shown = _text(notes.get(cri + ("Name" if runtime == "crio" else "container-name")))
    image = _text(notes.get(cri + ("ImageName" if runtime == "crio" else "image-name")))
    found = next(
        (
            match[0]
            for key in ("io.kubernetes.cri-o.ImageRef", cri + "image-name", cri + "ImageName")
            for match in [_digest_in.search(str(notes.get(key, "")))]
            if match
        ),
        "",
    )
    found = found if not found or found.startswith("sha256:") else "sha256:" + found
    return [name, shown, image, found, runtime, "running", None]


def _oci(place: Place) -> Iterator[Any]:
    """Containers of containerd (in each of its namespaces) and of CRI-O."""
    places = []
    try:
        spaces = listing(place.path(CONTAINERD), 64)
        places += [
            (f"{CONTAINERD}/{space}", "", "containerd") for space in spaces if space != "moby"
        ]
    except FileNotFoundError:
        pass
    places.append((CRIO, "/userdata", "crio"))
    for folder, inner, runtime in places:
        try:
            names = listing(place.path(folder), MAX_CONTAINERS)
        except FileNotFoundError:
            continue
        for name in names:
            try:
                config = _load(place.path(f"{folder}/{name}{inner}/config.json"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            row = oci_row(words(name, 128), config, runtime)
            if row is not None:
                yield row


def _docker(place: Place) -> Iterator[Any]:
    folder = place.path(DOCKER + "/containers")
    for name in listing(folder, MAX_CONTAINERS):
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


def _by_processes(context: Context) -> Generator[Any, None, dict[str, list[Any]]]:
    """Containers that show only through the control groups of their processes."""
    found: dict[str, list[Any]] = {}
    for number, process in enumerate(context.processes()):
        if number % CHUNK == CHUNK - 1:
            yield ("step",)
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
    for runtime, source in (("docker", _docker), ("podman", _podman), ("oci", _oci)):
        try:
            for row in source(place):
                rows[row[0]] = row
                yield ("step",)
        except PermissionError:
            refused.append(runtime)
        except OSError:
            continue
    running = yield from _by_processes(context)
    for row in rows.values():
        live = next((known for short, known in running.items() if row[0].startswith(short)), None)
        if live is not None and row[5] == "unknown":
            row[5], row[6] = "running", live[6]
    for short, row in running.items():
        if not any(full.startswith(short) for full in rows):
            rows[short] = row
    blind = any(not row[3] and row[4] != "nspawn" for row in rows.values())
    why = RIGHT if refused else NOT_IN_FILES if blind else None
    yield ("denied", "containers.images", why)
    yield ("table", "containers", rows)
