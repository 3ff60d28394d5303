"""Where the guard keeps and finds things."""

from __future__ import annotations

GUARD = "/usr/libexec/watchfloor/guard"
ETC = "/etc/watchfloor"
STATE = "/var/lib/watchfloor/guard"
PUBLIC = "/run/watchfloor/public"


class Place:
    """Paths below ``base``, which is empty on a real host.

    ``etc``: ``roster.json``, ``policy.json`` and ``identity.json`` with their ``.sigs``, and the
    older rosters in ``chain/``. ``state`` (root, 0700): ``secret``, ``nonces/``, ``spool/``,
    ``journal/``, ``standing/``, ``audit/``. ``public`` (root:wfmon, 0750): what the probe may see.
    """

    def __init__(self, base: str = "") -> None:
        self.base = base.rstrip("/")
        self.guard = self.path(GUARD)
        self.etc = self.path(ETC)
        self.state = self.path(STATE)
        self.public = self.path(PUBLIC)

    def path(self, absolute: str) -> str:
        """``absolute`` below the base."""
        return self.base + absolute
