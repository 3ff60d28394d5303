"""A local account blocked or opened: password, expiry, keys, sessions."""

from __future__ import annotations

from ..host import names, sessions, shadow, sshd
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

# The second of January 1970: PAM's account stage refuses whoever expired, with a key too. 0 may
# mean "never" to some readers of the shadow file.
EXPIRED = 1


class Account(Step):
    """``{"user", "uid", "op"}`` with ``block`` or ``open``."""

    kind = "account"

    def check(self, args: dict[str, Any]) -> None:
        """An account that may be blocked, and its number."""
        if set(args) != {"user", "uid", "op"} or args["op"] not in ("block", "open"):
            raise Refused("step", "the step account takes user, uid, and block or open")
        names.user(args["user"])
        names.number(args["uid"], 1, (1 << 32) - 2, "the number of an account")

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which account, and what is closed or opened."""
        who = f"the account {args['user']} (number {args['uid']})"
        if args["op"] == "open":
            return [
                f"{who} is opened: its password is unlocked, an expiry that has passed is taken "
                "away, and sshd no longer refuses it"
            ]
        return [
            f"{who} is blocked: its password is locked, it expires, and sshd refuses its keys",
            "all of its sessions and processes are ended; undoing it does not bring them back",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Whether it is locked, when it expires, whether sshd refuses it."""
        found = _account(args, world)
        return {
            "locked": found.locked,
            "empty": found.empty,
            "expires": found.expires,
            "denied": sshd.denied(args["user"], world),
        }

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Block it and end its sessions, or open it."""
        user = args["user"]
        found = _account(args, world)
        if args["op"] == "open":
            if not found.empty:  # without a password there is nothing to unlock: it has keys
                _unlock(user, found, world)
            world.mark("account.unlocked")
            if found.expired:
                _expire(user, -1, found, world)
            world.mark("account.expired")
            sshd.allow(user, world)
            return {"state": "open"}
        if not found.locked:
            _call(["usermod", "-L", "--", user], world)
        world.mark("account.locked")
        if not 0 <= found.expires <= EXPIRED:
            _expire(user, EXPIRED, found, world)
        world.mark("account.expired")
        by = sshd.deny(user, world)
        world.mark("account.denied")
        left = sessions.end(user, args["uid"], world)
        if left:
            some = ", ".join(str(pid) for pid in left[:5])
            raise StepFailed(f"processes of {user} do not end: {some}")
        return {"state": "blocked", "keys": by}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """The account as it was. Sessions that ended stay ended."""
        user = args["user"]
        found = _account(args, world)
        if args["op"] == "block":
            if not before["denied"]:
                sshd.allow(user, world)
            world.mark("account.allowed")
            if not before["locked"]:
                _unlock(user, found, world, before["empty"])
            world.mark("account.unlocked")
        else:
            if before["locked"] and not found.locked:
                _call(["usermod", "-L", "--", user], world)
            world.mark("account.locked")
            if before["denied"] and not sshd.denied(user, world):
                sshd.deny(user, world)
            world.mark("account.denied")
        _expire(user, before["expires"], found, world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether the account is still blocked, or still open."""
        try:
            found = _account(args, world)
        except (Refused, StepFailed):
            return False
        if args["op"] == "open":
            denied = sshd.denied(args["user"], world)
            return (found.empty or not found.locked) and not found.expired and not denied
        if not found.locked or not 0 <= found.expires <= EXPIRED:
            return False
        return sshd.denied(args["user"], world) or not world.has("sshd") or _by_pam(args, world)


def _by_pam(args: dict[str, Any], world: World) -> bool:
    """Without our drop-in only a host where it had no effect is as it was left."""
    return not sshd.included(world) and sshd.settings(args["user"], world).get("usepam") == ["yes"]


def _account(args: dict[str, Any], world: World) -> shadow.Account:
    try:
        found = shadow.account(args["user"], world)
    except OSError as error:
        raise StepFailed(f"/etc/shadow cannot be read: {error.strerror}") from None
    if found is None:
        raise Refused("no-account", f"{args['user']} is no local account of this host")
    if found.uid != args["uid"]:
        raise Refused("other-account", f"{args['user']} has another number by now")
    return found


def _unlock(user: str, found: shadow.Account, world: World, empty: bool = False) -> None:
    if not found.locked:
        return
    if empty:
        # `usermod -U` refuses to leave an account without a password, though it was so before.
        _call(["usermod", "-p", "", "--", user], world)
    else:
        _call(["usermod", "-U", "--", user], world)


def _expire(user: str, days: int, found: shadow.Account, world: World) -> None:
    if found.expires != days:
        _call(["chage", "-E", str(days), "--", user], world)


def _call(argv: list[str], world: World) -> None:
    done = world.run(argv)
    if done.code != 0:
        raise StepFailed(f"{argv[0]} does not change {argv[-1]}: {done.why}")
