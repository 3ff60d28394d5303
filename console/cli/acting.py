"""What the verbs of ``watchfloor actions`` do."""

import argparse
import asyncio
import base64
import getpass
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from console.actions.forms import lifetime
from console.cli.common import ask_on_terminal, configured
from console.cli.found import ended, found, known, need_action, need_values, waits
from console.config.loader import Config
from console.engine.build import local_engine
from console.engine.session import LocalEngine
from console.errors import UsageError, WatchfloorError
from console.headless import actions as lines
from console.hostside.guard.trust.words import words
from console.model.guard import Draft, Outcome, Preview, Prompt
from console.text import clean

Verb = Callable[[argparse.Namespace, Config, LocalEngine], Awaitable[int]]
CONNECT_S = 3.0


def run(args: argparse.Namespace, verb: Verb | None = None) -> int:
    """Start an engine, let the verb act, wait for what it began."""
    config = configured(args)
    work = verb or _VERBS[args.verb]

    async def whole() -> int:
        seat = getattr(args, "seat", None)  # at a running demo
        acting = None if seat is None else seat.parts()
        engine = local_engine(config, ask_passphrase=ask_on_terminal, acting=acting)
        await engine.start()
        try:
            await lines.settle(engine, engine.acting.guards.caught_up, args.timeout)
            return await work(args, config, engine)
        except WatchfloorError as error:
            if getattr(args, "json", False):  # for scripts; people read the message that follows
                sys.stdout.write(lines.encode({"error": clean(str(error), LONGEST)}))
            raise
        finally:
            await engine.stop()

    return asyncio.run(whole())


# -- the terminal


LONGEST = 4096  # characters of a printed line; what a terminal obeys is never printed


def say(text: Iterable[str]) -> None:
    """Print these lines as narration."""
    sys.stderr.write("".join(f"{clean(line, LONGEST)}\n" for line in text))


def out(text: Iterable[str]) -> None:
    """Print these lines as data."""
    sys.stdout.write("".join(f"{clean(line, LONGEST)}\n" for line in text))


async def ask(prompt: Prompt) -> str | None:
    """Answer what ssh-keygen asks for, at the terminal."""
    if prompt.kind in ("pin", "passphrase"):
        return await asyncio.to_thread(_secret, prompt.text)
    say([clean(prompt.text, 300)])
    if prompt.kind == "touch":
        await asyncio.Event().wait()  # until the key was touched, which ends this call
    return None


def _secret(text: str) -> str | None:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))  # else getpass reads from stdin
        return getpass.getpass(f"{clean(text, 200)} ")
    except (OSError, EOFError):
        return None


def typed(wanted: str, given: str, what: str, flag: str) -> None:
    """Raise UsageError unless ``wanted`` was given by a flag, or is typed at a terminal."""
    if not given:
        if not sys.stdin.isatty():
            raise UsageError(
                f"nothing was signed: {what} is needed", hint=f"Give {flag}, or use a terminal."
            )
        sys.stderr.write(f"To sign, type {what}: ")
        sys.stderr.flush()
        given = sys.stdin.readline()
    if " ".join(given.split()) != wanted:
        raise UsageError(f"nothing was signed: that is not {what}")


async def connect(engine: LocalEngine, hosts: Sequence[str]) -> None:
    """Connect while somebody reads; a terminal that waits for a line lets nothing else go on."""
    if (begun := engine.acting.prepare(hosts)) and sys.stdin.isatty():
        await asyncio.wait(begun, timeout=CONNECT_S)


def target(hosts: Sequence[str]) -> str:
    """What is typed for these hosts where the risk is high."""
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"


# -- what waits


async def _list(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    if args.all:
        every = engine.actions("")
        sys.stdout.write(lines.encode(every)) if args.json else out(lines.about_lines(every))
        return 0
    hosts = [view for view in engine.snapshot().hosts if not view.workstation]
    if args.json:
        guards = {view.name: view.guard for view in hosts}
        sys.stdout.write(lines.encode({"hosts": guards, "may_act": engine.may_act()}))
    else:
        out(lines.list_lines(hosts, engine.now()))
        if why := engine.may_act():
            say([f"nothing can be signed here: {why}"])
    return 0


async def _show(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    if not waits(engine, args.id):
        over = ended(engine, args.id)
        if args.json:
            sys.stdout.write(lines.encode(over))
        else:
            out(line for item in over for line in lines.active_lines(item, engine.now()))
        return 0
    views = found(engine, args.id)
    if args.json:
        sys.stdout.write(lines.encode(views))
    else:
        for view in views:
            out(lines.request_lines(view, engine.now()))
    return 0


# -- asking


def _params(args: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in args.param:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{clean(text, 80)!r} has no `=`", hint="Write -p NAME=VALUE.")
        values[name] = value
    return values


async def _preview_made(
    args: argparse.Namespace, config: Config, engine: LocalEngine, more: dict[str, Any]
) -> Preview:
    names = [host.name for host in config.hosts]
    if args.hosts is None and len(names) > 1:
        raise UsageError("an action names its hosts", hint="Give --hosts PATTERN.")
    params = {**_params(args), **more}
    about = next(each for each in engine.actions("") if each.name == need_action(args.action))
    need_values(about, list(params), file=bool(more))
    return await engine.preview(names, args.action, params)


async def _preview(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    made = await _preview_made(args, config, engine, {})
    if args.json:
        sys.stdout.write(lines.encode(made))
    else:
        out(lines.preview_lines(made, engine.now()))
    return 0 if made.usable and len(made.usable) == len(made.targets) else 1


def _payload(file: Path | None) -> tuple[dict[str, Any], object]:
    """The parameter and the payload of an action that installs a file."""
    if file is None:
        return {}, None
    from console.actions.files import read

    data = read(file)
    plain = Path(f"{file}.sig")
    signatures = {*file.parent.glob(f"{file.name}.*sig"), *([plain] if plain.exists() else [])}
    texts = [read(path).decode("utf-8", "replace") for path in sorted(signatures)]
    if not texts and (about := file.with_suffix(".sigs")).exists():
        texts = _signatures(about, read(about))
    payload = {"data": base64.b64encode(data).decode(), "signatures": texts}
    return {"sha256": hashlib.sha256(data).hexdigest()}, payload


def _signatures(file: Path, data: bytes) -> list[str]:
    """What stands in ``FILE.sigs``: ``{"signatures": [texts]}``. Raises UsageError."""
    import json

    try:
        texts = json.loads(data)["signatures"]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            "is no file of signatures",
            where=str(file),
            hint="Sign it anew: see docs/guard-enrol.md.",
        ) from None
    return list(texts)


async def _request(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    if args.resume is not None:
        return await _resume(args, engine)
    need_action(args.action)
    if not args.reason.strip():
        raise UsageError("a reason is needed: the second person reads it", hint="Give --reason.")
    more, payload = _payload(args.file)
    made = lifetime(await _preview_made(args, config, engine, more), args.expires)
    say(lines.preview_lines(made, engine.now()))
    draft = engine.draft(made, args.reason, args.mode)
    say(lines.draft_lines(draft, args.reason))
    await connect(engine, draft.hosts)
    wanted = target(draft.hosts)
    typed(wanted, args.confirm, f"{wanted!r}", f'--confirm "{wanted}"')
    draft, signature = await engine.acting.sign(made, args.reason, args.mode, ask)
    return await _send(args, engine, made, draft, signature, payload)


async def _send(
    args: argparse.Namespace,
    engine: LocalEngine,
    made: Preview,
    draft: Draft,
    signature: str,
    payload: object,
) -> int:
    from console.actions.files import Unfinished, save

    unfinished = Unfinished(preview=made, request=draft.data.decode(), signature=signature)
    if args.save is not None:
        save(args.save, unfinished)  # before it is sent: what was signed is not lost
    outcomes = await engine.acting.send_request(made, draft, signature, payload)
    if args.save is not None:
        import msgspec

        save(args.save, msgspec.structs.replace(unfinished, outcomes=tuple(outcomes)))
    return await done(args, engine, outcomes)


async def _resume(args: argparse.Namespace, engine: LocalEngine) -> int:
    from console.actions.files import load, save

    before = load(args.resume)
    rest = before.rest
    if not rest.usable:
        say(["every host has answered already"])
        return lines.code(before.outcomes)
    data = before.request.encode()
    rid = hashlib.sha256(data).hexdigest()
    draft = Draft(id=rid, words="", data=data, hosts=tuple(item.host for item in rest.usable))
    _, payload = _payload(args.file)
    outcomes = await engine.acting.send_request(rest, draft, before.signature, payload)
    new = {each.host for each in outcomes}
    import msgspec

    old = [each for each in before.outcomes if each.host not in new]
    save(args.resume, msgspec.structs.replace(before, outcomes=(*old, *outcomes)))
    return await done(args, engine, outcomes)


async def done(args: argparse.Namespace, engine: LocalEngine, outcomes: Sequence[Outcome]) -> int:
    """Print what came of it, wait for confirmations, and say which exit status that is."""
    if not args.json:
        out(lines.outcome_lines(outcomes))
    before = engine.events(limit=100_000)
    await engine.acting.confirmed()
    after = engine.events(after=before[-1].seq if before else 0, limit=100_000)
    reached = [event for event in [*before, *after] if event.kind.startswith("guard.confirm")
               or event.kind == "guard.unreachable"]  # fmt: skip
    if args.json:
        rid = next((each.id for each in outcomes if each.id), "")
        six = " ".join(words(rid)) if rid else ""
        answer = {"id": rid, "words": six, "outcomes": outcomes, "reached": reached}
        sys.stdout.write(lines.encode(answer))
    else:
        from console.model.words import sentence

        out(f"{event.host}: {sentence(event)}" for event in reached)
    lost = any(event.kind == "guard.unreachable" for event in reached)
    return 1 if lost else lines.code(outcomes)


# -- deciding


async def _release(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    rid, hosts = known(engine, args.id)
    made = await engine.preview(hosts, "release", {"id": rid})
    say(lines.preview_lines(made, engine.now()))
    await connect(engine, hosts)
    wanted = target([item.host for item in made.usable] or hosts)
    typed(wanted, args.confirm, f"{wanted!r}", f'--confirm "{wanted}"')
    outcomes = await engine.submit(made, args.comment, "two_before", ask)
    return await done(args, engine, outcomes)


async def _review(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    rid, hosts = known(engine, args.id)
    await connect(engine, hosts)
    return await done(args, engine, await engine.review(hosts, rid, args.comment, ask))


# -- files


async def _import(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    from console.actions.files import decision, kind_of

    data, signature = decision(args.file)
    return await done(
        args, engine, await engine.acting.send_decision([], kind_of(data), data, signature)
    )


_VERBS: dict[str, Verb] = {
    "list": _list,
    "preview": _preview,
    "request": _request,
    "show": _show,
    "release": _release,
    "review": _review,
    "import": _import,
}
