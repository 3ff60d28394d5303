"""The host's own rule set: everything that nft lists but our tables."""

from __future__ import annotations

from ..refused import Refused
from ..state.files import Files
from ..steps.base import StepFailed
from ..world import World
from . import nft
from . import rules as net_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

APPROVED = "/etc/watchfloor/firewall.nft"
MAX_FILE = 1 << 20


def own(items: list[Any]) -> list[Any]:
    """A listing without our tables and all that is in them."""
    kept = []
    for item in items:
        name = ""
        for kind, inner in item.items():
            if isinstance(inner, dict):
                name = str(inner.get("name" if kind == "table" else "table", ""))
        if name not in net_rules.OURS:
            kept.append(item)
    return kept


def now(world: World) -> list[Any]:
    """The host's own rules as they are. Raises StepFailed."""
    return own(nft.listing(world, "ruleset"))


def tables(items: list[Any]) -> list[tuple[str, str]]:
    """Family and name of each table of a listing."""
    return [
        (str(item["table"].get("family")), str(item["table"].get("name")))
        for item in items
        if isinstance(item.get("table"), dict)
    ]


def written(world: World) -> str:
    """The host's own rules as a text that puts them back. Raises StepFailed."""
    done = world.run(("nft", "-s", "list", "ruleset"), timeout=nft.SECONDS)
    if done.code:
        raise StepFailed(f"nft cannot list its rules: {nft.first_line(done.why)}")
    return without_ours(done.out.decode("utf-8", "surrogateescape"))


def without_ours(text: str) -> str:
    """What nft lists, whose tables begin and end at the margin, without our tables."""
    kept, ours = [], False
    for line in text.splitlines():
        if line.startswith("table "):
            ours = line.split()[2:3] != [] and line.split()[2] in net_rules.OURS
        if not ours:
            kept.append(line)
        if line == "}":
            ours = False
    return "".join(line + "\n" for line in kept if line)


def change(items: list[Any], text: str) -> str:
    """The transaction from the tables of a listing to those of a text, which names none of ours."""
    gone = "".join(f"delete table {family} {_quoted(name)}\n" for family, name in tables(items))
    return gone + text


def _quoted(name: str) -> str:
    import re

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.\\/-]{0,255}", name):
        raise StepFailed("a table of this host has a name that cannot be written again")
    return name


def approved(world: World) -> tuple[list[Any], str]:
    """The declared rules as the kernel lists them, and as a text that loads them.

    Root's file is loaded in a network namespace that ends with the call: what comes out has no
    ``flush ruleset`` in it, which would take our own tables along, and its digest is known before
    anything is changed. Raises Refused and StepFailed.
    """
    try:
        raw = Files(world.place, world.mark).read(world.path(APPROVED), MAX_FILE)
    except FileNotFoundError:
        raise Refused(
            "firewall-missing",
            f"{APPROVED} is not there: no rules are declared for this host",
            "root writes it by: nft -s list ruleset",
        ) from None
    items, text = _tried(raw, world)
    if own(items) != items:
        raise StepFailed(f"{APPROVED} holds tables of Watchfloor, which are not the host's own")
    return items, text


def _tried(raw: bytes, world: World) -> tuple[list[Any], str]:
    """Load rules in a network namespace of a child process, and list them there.

    It gets interfaces of this host's names and numbers, for rules may be bound to them.
    """
    import json
    import os

    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(out)
            with os.fdopen(into, "w") as file:
                json.dump(_loaded(raw, world), file)
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        told = file.read()
    os.waitpid(child, 0)
    try:
        failed, items, text = json.loads(told)
    except ValueError:
        raise StepFailed("no network namespace could be made to try the rules in") from None
    if failed:
        raise StepFailed(f"{APPROVED} does not load: {failed}")
    return items, text


def _loaded(raw: bytes, world: World) -> tuple[str, list[Any], str]:
    """What is wrong, or the listing and the text. Leaves the network namespace for a new one."""
    import ctypes
    import os

    folder = world.path("/sys/class/net")
    lines = []
    for place, name in enumerate(sorted(os.listdir(folder))):
        with open(f"{folder}/{name}/ifindex", "rb") as file:
            one = f"link add name {name} index {int(file.read())} type "
        # Where the kernel has no dummy interfaces the second kind comes about, else it fails.
        lines += [f"{one}dummy\n", f"{one}veth peer name wf{place} index {(1 << 30) + place}\n"]
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(0x40000000):  # CLONE_NEWNET (include/uapi/linux/sched.h)
        return os.strerror(ctypes.get_errno()), [], ""
    world.run(("ip", "-force", "-batch", "-"), stdin="".join(lines).encode())
    try:
        nft.apply(raw.decode("utf-8", "surrogateescape"), world)
        return "", nft.listing(world, "ruleset"), written(world)
    except StepFailed as error:
        return str(error), [], ""


def difference(old: list[Any], new: list[Any]) -> list[str]:
    """What would change, table by table."""
    before, after = _by_table(old), _by_table(new)
    lines = []
    for family, name in sorted({*before, *after}):
        where = f"table {family} {name}"
        had, gets = before.get((family, name)), after.get((family, name))
        if had is None and gets is not None:
            lines.append(f"{where} is added: {_rules(gets)} rules")
        elif gets is None and had is not None:
            lines.append(f"{where} is removed: {_rules(had)} rules")
        elif had is not None and gets is not None and nft.digest(had) != nft.digest(gets):
            lines.append(f"{where} changes: {_rules(had)} rules before, {_rules(gets)} after")
    return lines


def _by_table(items: list[Any]) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for item in items:
        for kind, inner in item.items():
            if isinstance(inner, dict):
                name = str(inner.get("name" if kind == "table" else "table", ""))
                found.setdefault((str(inner.get("family")), name), []).append(item)
    return found


def _rules(items: list[Any]) -> int:
    return sum("rule" in item for item in items)
