"""Which request, which action: what was typed for a verb of ``watchfloor actions``, understood."""

from collections.abc import Sequence
from difflib import get_close_matches

from console.engine.session import LocalEngine
from console.errors import UsageError
from console.hostside.guard.actions import NAMES
from console.model.guard import ActionAbout, ActiveView, RequestView
from console.text import clean

LEAST = 6  # digits of an id: fewer name too many requests


def found(engine: LocalEngine, text: str) -> list[RequestView]:
    """The request of that id on every host that shows it. Raises UsageError."""
    waits = engine.requests()
    ids = {view.id for view in waits if view.id.startswith(text.lower())}
    _one(text, ids, "no such request waits")
    return [view for view in waits if view.id in ids]


def _one(text: str, ids: set[str], none: str) -> None:
    """Raise UsageError unless the text is long enough and names exactly one."""
    hint = f"Give {LEAST} digits or more of one of those that `actions list` shows."
    if len(text) < LEAST:
        raise UsageError(f"{clean(text, 70)!r} is too short to name a request", hint=hint)
    if len(ids) != 1:
        why = "several requests begin so" if ids else none
        raise UsageError(f"{clean(text, 70)!r}: {why}", hint=hint)


def ended(engine: LocalEngine, text: str) -> list[ActiveView]:
    """What is applied, stands or has ended under that id, on every host. Raises UsageError."""
    every = [
        item
        for host in engine.snapshot().hosts
        if host.guard is not None
        for item in (*host.guard.active, *host.guard.closed)
    ]
    ids = {item.id for item in every if item.id.startswith(text.lower())}
    _one(text, ids, "no host tells of such a request, waiting, standing or ended")
    return [item for item in every if item.id in ids]


def waits(engine: LocalEngine, text: str) -> bool:
    """Whether a request of that id waits somewhere."""
    return len(text) >= LEAST and any(v.id.startswith(text.lower()) for v in engine.requests())


def known(engine: LocalEngine, text: str) -> tuple[str, list[str]]:
    """Id and hosts of something that is applied, stands or was break-glass. Raises UsageError."""
    ids: dict[str, list[str]] = {}
    for host in engine.snapshot().hosts:
        guard = host.guard
        if guard is None:
            continue
        all_ids = {item.id for item in (*guard.active, *guard.closed)}
        for rid in all_ids | {rid for _, rid in guard.unreviewed}:
            if rid.startswith(text.lower()):
                ids.setdefault(rid, []).append(host.name)
    _one(text, set(ids), "it is not one that stands or has ended")
    return next(iter(ids.items()))


def need_action(name: str | None) -> str:
    """The name, where there is such an action. Raises UsageError."""
    if not name:
        raise UsageError("no action is named", hint=f"There are: {', '.join(NAMES)}.")
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1, 0.5)
        hint = f"Nearest: {near[0]}. " if near else ""
        raise UsageError(
            f"no action is called {clean(name, 40)!r}", hint=f"{hint}There are: {', '.join(NAMES)}."
        )
    return name


def need_values(about: ActionAbout, given: Sequence[str], *, file: bool) -> None:
    """Raise UsageError where a parameter of the action is missing, or is none of it."""
    for name in given:
        if name not in {field.name for field in about.fields}:
            takes = ", ".join(field.name for field in about.fields) or "nothing"
            raise UsageError(f"{about.name} has no {clean(name, 40)}; it takes {takes}")
    lacking = [
        field
        for field in about.fields
        if field.name not in given
        and not (field.default or field.optional or field.kind in ("list", "flag"))
        and not (file and field.name == "sha256")
    ]
    if lacking:
        wanted = " ".join(f"-p {field.name}=VALUE" for field in lacking)
        choices = " | ".join(lacking[0].choices)
        words = lacking[0].words + (f" ({choices})" if choices else "")
        raise UsageError(
            f"{about.name} needs {', '.join(field.name for field in lacking)}",
            hint=f"Give {wanted}. {lacking[0].name}: {words}",
        )
