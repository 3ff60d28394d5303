"""The verbs of ``watchfloor actions`` that sign about a request which is there already."""

import argparse
import sys
import time
from collections.abc import Sequence

from console.actions.decide import unseen
from console.cli.acting import Verb, ask, connect, done, out, say, target, typed
from console.cli.found import found
from console.config.loader import Config
from console.engine.session import LocalEngine
from console.errors import ActionError, UsageError
from console.headless import actions as lines
from console.model.guard import RequestView


async def _chosen(engine: LocalEngine, views: Sequence[RequestView]) -> list[str]:
    hosts = [view.host for view in views]
    for view in views:
        say(lines.request_lines(view, time.time()))
    await connect(engine, hosts)
    return hosts


def _judged(args: argparse.Namespace, views: Sequence[RequestView], hosts: Sequence[str]) -> None:
    """A person has compared the words, or types what cannot be typed by habit. ``hosts``: all on
    which the signature counts."""
    view = views[0]
    if args.words or not sys.stdin.isatty():
        typed(view.words, args.words, "the six words of the request", '--words "..."')
        return
    wanted = target(hosts) if view.about.high_risk else view.words.split()[0]
    what = repr(wanted) if view.about.high_risk else "the first of the six words"
    typed(wanted, "", what, "--words")


def _able(views: Sequence[RequestView], wanted: str) -> list[RequestView]:
    """Those that may be decided; of each other host it is said why it is left out.

    A host may show a copy of any request: that keeps nobody from deciding about the others. Raises
    ActionError where none is left.
    """
    able = [view for view in views if not view.why_not]
    if not able:
        verified = [*(view for view in views if view.verified), *views]
        raise ActionError(
            f"nothing was {wanted}: {verified[0].why_not}", where=views[0].id[:12], rule="view"
        )
    say(f"LEFT OUT: {view.host}: {view.why_not}" for view in views if view.why_not)
    return able


def _not_seen(args: argparse.Namespace, views: Sequence[RequestView]) -> tuple[str, ...]:
    """Targets that are not seen here, which the person has accepted. Raises ActionError."""
    rest = unseen(views)
    if not rest:
        return ()
    names = ", ".join(rest)
    say([f"NOT SEEN HERE, and the approval counts there as well: {names}"])
    if not args.also_unseen:
        raise ActionError(
            f"nothing was signed: it would also count on {names}, which is not seen here",
            where=views[0].id[:12],
            hint="Wait until each shows it, or accept that with --also-unseen.",
            rule="unseen",
        )
    return rest


async def _decide(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    everywhere = found(engine, args.id)
    views = _able(everywhere, "signed")
    approve = args.verb == "approve"
    hosts = await _chosen(engine, views)
    rest = _not_seen(args, everywhere) if approve else ()
    counts = views[0].hosts if approve else hosts
    if approve and len(counts) > len(hosts):
        say([f"The signature counts on all {len(counts)} targets: {', '.join(counts)}"])
    _judged(args, views, counts or hosts)
    outcomes = await engine.decide(hosts, views[0].id, approve, args.comment, ask, rest)
    return await done(args, engine, outcomes)


async def _cancel(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    views = found(engine, args.id)
    hosts = await _chosen(engine, views)
    return await done(args, engine, await engine.cancel(hosts, views[0].id, args.comment, ask))


async def _start(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    views = found(engine, args.id)
    hosts = await _chosen(engine, views)
    _judged(args, views, hosts)
    return await done(args, engine, await engine.begin(hosts, views[0].id, ask))


async def _export(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    from console.actions.files import export

    everywhere = found(engine, args.id)
    views = [view for view in everywhere if view.verified]
    if not views:
        raise ActionError(f"not exported: {everywhere[0].why_not_verified}", rule="view")
    say(lines.request_lines(views[0], engine.now()))
    if not args.deny:
        _not_seen(args, everywhere)
    person = args.by or config.operator.person
    if not person:
        raise UsageError("nobody is named who will sign", hint="Give --by PERSON.")
    expires = engine.acting.approval_until(views)
    verdict = "deny" if args.deny else "approve"
    envelope = engine.acting.envelope(views[0].id)
    path = export(args.folder, envelope, person, verdict, args.comment, expires)
    out([
        f"written: {path}, with request.json, its signature and binding.json to judge it by",
        f"{person} signs it so, which makes {path.name}.sig:",
        f"  ssh-keygen -Y sign -n approval-v1@watchfloor -f KEY {path.name}",
        f"and it is sent by: watchfloor actions import {args.folder}",
    ])  # fmt: skip
    return 0


VERBS: dict[str, Verb] = {
    "approve": _decide,
    "deny": _decide,
    "cancel": _cancel,
    "start": _start,
    "export": _export,
}
