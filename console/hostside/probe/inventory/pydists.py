"""Table ``pydists``: Python distributions of the environments that serve models."""

from __future__ import annotations

import os
import re
import stat

from ..place import Place, listing, read_file, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ..inventory_lane import Context

    Step = tuple[Any, ...]

SERVERS = re.compile(
    r"vllm|text-generation|tgi|sglang|tritonserver|ollama|torchserve|ray|lmdeploy|mlserver|bentoml"
    r"|llama|aphrodite|deepspeed|transformers|infinity_emb|tei-|uvicorn|gunicorn|jupyter|mlflow",
    re.IGNORECASE,
)
MAX_ENVIRONMENTS = 32
MAX_TRIED = 512  # programs whose environment is looked for
MAX_DISTRIBUTIONS = 5_000
CHUNK = 100
HEAD = 4096
RIGHT = "CAP_SYS_PTRACE (tier 2)"
_folder = re.compile(r"(.+?)-([^-]+)\.(?:dist-info|egg-info)\Z")
_name = re.compile(rb"^Name:[ \t]*(\S+)", re.MULTILINE)
_version = re.compile(rb"^Version:[ \t]*(\S+)", re.MULTILINE)


def is_python(process: dict[str, Any]) -> bool:
    """True for a process whose program is a Python interpreter."""
    exe = os.path.basename(process.get("exe") or process.get("name") or "")
    return exe.startswith(("python", "pypy"))


def serves(process: dict[str, Any]) -> bool:
    """True for a Python process whose arguments look like those of a model server."""
    return is_python(process) and bool(SERVERS.search(process.get("cmdline") or ""))


def _is_folder(place: Place, root: str, path: str) -> bool:
    """True for a folder that may be read below ``root``, which is "" for the host itself.

    A link in a container would be followed on the host, where it means something else: so below
    the root of a container no part of the path may be one.
    """
    try:
        if not root:
            return stat.S_ISDIR(os.stat(place.path(path)).st_mode)
        so_far = root
        for part in path.strip("/").split("/"):
            so_far += "/" + part
            if not stat.S_ISDIR(os.lstat(so_far).st_mode):
                return False
    except (OSError, ValueError):
        return False
    return True


def site_packages(place: Place, root: str, prefix: str) -> list[str]:
    """Folders with distributions below an environment's prefix."""
    found = []
    for lib in ("lib", "lib64", "local/lib"):
        base = f"{prefix}/{lib}"
        if not _is_folder(place, root, base) or os.path.islink(root + base or place.path(base)):
            continue
        try:
            names = listing((root or place.root) + base)
        except OSError:
            continue
        for name in names:
            if not name.startswith(("python3", "pypy3")):
                continue
            for last in ("site-packages", "dist-packages"):
                folder = f"{base}/{name}/{last}"
                if _is_folder(place, root, folder):
                    found.append(folder)
    return found


def prefix_of(place: Place, root: str, process: dict[str, Any]) -> str:
    """The environment of a process: that of the interpreter it was started as, which a virtual
    environment shows, else that of the program itself; "" where neither is known."""
    first = (process.get("cmdline") or "").split(" ", 1)[0]
    for program in (first, process.get("exe") or ""):
        if program.startswith("/") and "/bin/" in program and "/../" not in program:
            prefix = program.rsplit("/bin/", 1)[0] or "/usr"
            if site_packages(place, root, prefix):
                return prefix
    return ""


def distribution(folder: str, name: str) -> tuple[str, str] | None:
    """Name and version of one ``*.dist-info`` or ``*.egg-info`` entry of a folder."""
    match = _folder.match(name)
    if match:
        return words(match[1], 120), words(match[2], 80)
    if not name.endswith((".dist-info", ".egg-info")):
        return None
    for file in ("METADATA", "PKG-INFO"):
        try:
            found = metadata(read_file(f"{folder}/{name}/{file}", HEAD))
        except OSError:
            continue
        if found is not None:
            return found
    return None


def metadata(head: bytes) -> tuple[str, str] | None:
    """Name and version out of the beginning of a METADATA file."""
    name, version = _name.search(head), _version.search(head)
    return (words(name[1], 120), words(version[1], 80)) if name and version else None


def environments(
    context: Context,
) -> Generator[Step, None, tuple[list[tuple[str, str, str]], bool]]:
    """(root on this host, container, prefix) of each environment to look into, and whether there
    is one more that may not be seen.

    Declared units come first, then accounts of the system: who may only run a program must not be
    able to push theirs out of the list.
    """
    place = context.place
    found: dict[tuple[str, str], tuple[int, str]] = {}
    tried: set[tuple[str, str]] = set()
    closed = False  # there is one whose program may not be known
    names = {source.get("unit") or source.get("container") for source in context.declared.sources}
    names.discard("")
    for number, process in enumerate(context.processes()):
        if number % CHUNK == CHUNK - 1:
            yield ("step",)
        declared = any(str(name) in (process.get("cgroup") or "") for name in names)
        hidden = process.get("exe") is None and SERVERS.search(process.get("cmdline") or "")
        if not is_python(process) or not (declared or serves(process)):
            closed = closed or bool(hidden)
            continue
        container = process.get("container") or ""
        program = (container, (process.get("cmdline") or "").split(" ", 1)[0])
        if program in tried or len(tried) >= MAX_TRIED:
            continue
        tried.add(program)
        root = f"{place.proc}/{process['pid']}/root" if container else ""
        prefix = prefix_of(place, root, process)
        if prefix:
            person = (process.get("uid") or 0) >= 1000 and not container
            rank = 0 if declared else 2 if person else 1
            found[container, prefix] = min(found.get((container, prefix), (3, "")), (rank, root))
        else:
            closed = closed or process.get("exe") is None
        yield ("step",)
    ordered = sorted(found.items(), key=lambda item: (item[1][0], item[0]))
    return [(root, container, prefix) for (container, prefix), (_, root) in ordered], closed


def steps(context: Context) -> Iterator[Step]:
    """The table; the folder of an environment in a container has the container's id before it."""
    place = context.place
    rows: dict[str, list[Any]] = {}
    wanted, closed = yield from environments(context)
    why = RIGHT if closed else None
    if len(wanted) > MAX_ENVIRONMENTS:
        why = f"a host with at most {MAX_ENVIRONMENTS} environments"
    for root, container, prefix in wanted[:MAX_ENVIRONMENTS]:
        for folder in site_packages(place, root, prefix):
            real = (root or place.root) + folder
            try:
                names = listing(real)
            except PermissionError:
                why = RIGHT
                continue
            except OSError:
                continue
            shown = words(f"{container}:{folder}" if container else folder, 300)
            for number, name in enumerate(names):
                known = distribution(real, name)
                if known is not None and len(rows) < MAX_DISTRIBUTIONS:
                    rows[f"{shown}/{known[0]}"] = [f"{shown}/{known[0]}", shown, *known]
                if number % CHUNK == CHUNK - 1:
                    yield ("step",)
            yield ("step",)
    if len(rows) >= MAX_DISTRIBUTIONS:
        why = f"environments with fewer than {MAX_DISTRIBUTIONS} distributions"
    yield ("denied", "pydists", why)
    yield ("table", "pydists", rows)
