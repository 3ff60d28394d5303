"""``status``: what is applied and stands, after a look at whether it still does."""

from __future__ import annotations

from ..state import checks, publish, recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """The public state document, or what is known of one request."""
    recover.look(g)
    if "id" not in envelope:
        return {"state": publish.state(g)}
    rid = checks.text(envelope, "id", 64)
    for each in g.store.closed():
        if each.get("id") == rid:
            return {"entry": each}
    return {"entry": publish.public(g, g.store.find(rid)[1])}
