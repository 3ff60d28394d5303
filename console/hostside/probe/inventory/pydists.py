"""Table ``pydists``: Python distributions of the environments that serve models."""

from __future__ import annotations

import os
import re

from ..place import Place, slurp, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

SERVERS = re.compile(
    r"vllm|text-generation|tgi|sglang|tritonserver|ollama|torchserve|ray|lmdeploy|mlserver|bentoml"
    r"|llama|aphrodite|deepspeed|transformers|infinity_emb|tei-|uvicorn|gunicorn|jupyter|mlflow",
    re.IGNORECASE,
)
MAX_ENVIRONMENTS = 32
MAX_DISTRIBUTIONS = 5_000
RIGHT = "CAP_SYS_PTRACE (tier 2)"
_folder = re.compile(r"(.+?)-([^-]+)\.(?:dist-info|egg-info)\Z")
_name = re.compile(rb"^Name:\s*(\S+)", re.MULTILINE)
_version = re.compile(rb"^Version:\s*(\S+)", re.MULTILINE)


def is_python(process: dict[str, Any]) -> bool:
    """True for a process whose program is a Python interpreter."""
    exe = os.path.basename(process.get("exe") or process.get("name") or "")
    return exe.startswith(("python", "pypy"))


def serves(process: dict[str, Any]) -> bool:
    """True for a Python process whose arguments look like those of a model server."""
    return is_python(process) and bool(SERVERS.search(process.get("cmdline") or ""))


def site_packages(place: Place, prefix: str) -> list[str]:
    """Folders with distributions below an environment's prefix."""
    found = []
    for lib in ("lib", "lib64", "local/lib"):
        base = f"{prefix}/{lib}"
        try:
            names = sorted(os.listdir(place.path(base)))
        except OSError:
            continue
        for name in names:
            if not name.startswith(("python3", "pypy3")):
                continue
            for last in ("site-packages", "dist-packages"):
                folder = f"{base}/{name}/{last}"
                if os.path.isdir(place.path(folder)) and not os.path.islink(place.path(base)):
                    found.append(folder)
    return found


def prefix_of(place: Place, process: dict[str, Any]) -> str:
    """The environment of a process: that of the interpreter it was started as, which a virtual
    environment shows, else that of the program itself; "" where neither is known."""
    first = (process.get("cmdline") or "").split(" ", 1)[0]
    for program in (first, process.get("exe") or ""):
        if program.startswith("/") and "/bin/" in program:
            prefix = program.rsplit("/bin/", 1)[0] or "/usr"
            if site_packages(place, prefix):
                return prefix
    return ""


def distribution(place: Place, folder: str, name: str) -> tuple[str, str] | None:
    """Name and version of one ``*.dist-info`` or ``*.egg-info`` entry."""
    match = _folder.match(name)
    if match:
        return words(match[1], 120), words(match[2], 80)
    if not name.endswith((".dist-info", ".egg-info")):
        return None
    for file in ("METADATA", "PKG-INFO"):
        try:
            head = slurp(place.path(f"{folder}/{name}/{file}"), 4096)
        except OSError:
            continue
        found, version = _name.search(head), _version.search(head)
        if found and version:
            return words(found[1], 120), words(version[1], 80)
    return None


def environments(context: Context) -> list[str]:
    """Prefixes of all environments to look into, in a stable order."""
    found = set()
    units = {source.get("unit") for source in context.declared.sources if source.get("unit")}
    for process in context.processes():
        declared = any(unit in (process.get("cgroup") or "") for unit in units)
        if not process.get("container") and (serves(process) or (declared and is_python(process))):
            prefix = prefix_of(context.place, process)
            if prefix:
                found.add(prefix)
    return sorted(found)[:MAX_ENVIRONMENTS]


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table. Environments inside containers belong to the image and are not looked into."""
    place = context.place
    rows: dict[str, list[Any]] = {}
    for prefix in environments(context):
        for folder in site_packages(place, prefix):
            try:
                names = sorted(os.listdir(place.path(folder)))
            except OSError:
                continue
            for number, name in enumerate(names):
                known = distribution(place, folder, name)
                if known is not None and len(rows) < MAX_DISTRIBUTIONS:
                    shown = words(folder, 300)
                    rows[f"{shown}/{known[0]}"] = [f"{shown}/{known[0]}", shown, *known]
                if number % 100 == 99:
                    yield ("step",)
            yield ("step",)
    yield ("table", "pydists", rows)
