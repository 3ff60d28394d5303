"""Who asked for what and who agreed, request by request, as good signatures of a log say it."""

from collections.abc import Collection, Iterator

import msgspec

from console.audit.life import Life
from console.text import clean

BREAK_GLASS = "break_glass"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a host. Only people whose signatures were found good are named."""

    id: str
    action: str
    mode: str
    state: str
    requester: str  # empty: no good signature
    approvers: tuple[str, ...] = ()
    denied_by: str = ""
    begun: bool = False  # it was carried out, or that was tried
    same_console: bool = False  # the host noted that both logins came from one console

    def __str__(self) -> str:
        who = self.requester or "somebody whose signature is not good"
        words = f"{self.action or 'an action'} by {who}"
        if self.mode == BREAK_GLASS:
            words = f"BREAK-GLASS: {words}, alone"
        elif self.mode == "one_then_ratify" and self.begun:
            words += ", begun on that signature"
        if self.approvers:
            words += f", approved by {', '.join(self.approvers)}"
        elif not self.denied_by and self.mode != BREAK_GLASS:
            words += ", approved by nobody"
        if self.denied_by:
            words += f", denied by {self.denied_by}"
        if self.same_console:
            words += ", from the same console"
        return f"{words}: {self.state} [{self.id[:12]}]"


def told(lives: Collection[Life], same: Collection[str] = ()) -> Iterator[Told]:
    """Of each request in the order of the log; ``same`` are the ids of those that were decided
    from the console that had asked."""
    for life in lives:
        if life.submitted:
            good = life.requester if life.requester in life.people else ""
            yield Told(
                id=clean(life.rid, 64),
                action=clean(life.action, 64),
                mode=life.mode,
                state=life.state,
                requester=clean(good, 64),
                approvers=tuple(clean(who, 64) for who in life.people if who != life.requester),
                denied_by=clean(life.denied, 64),
                begun=life.started >= 0,
                same_console=life.rid in same,
            )
