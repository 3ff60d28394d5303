"""One host asked for a challenge, and its answer held against what this console knows."""

from typing import Any

from console.actions import plan
from console.actions.around import Around, Trusted, rules_for
from console.actions.ask import ask, link_words
from console.actions.envelope import END_OF_TIME
from console.errors import ActionError, KeyFileError, LinkError
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents
from console.model.guard import TargetPreview
from console.model.host import HostState
from console.model.view import HostView
from console.text import clean


class NoTarget(Exception):
    """This host cannot be a target; words and hint are for a person."""

    def __init__(self, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.hint = hint


async def challenge(
    around: Around, view: HostView, action: str, params: dict[str, Any]
) -> TargetPreview:
    """What that host answers, checked. Never raises: trouble is in the result."""
    host = view.name
    try:
        _before(view)
        told, host_key = await ask(
            around.caller, view.spec, "challenge", action=action, params=params
        )
        return _checked(around, view, action, params, told, host_key)
    except NoTarget as no:
        return TargetPreview(host=host, trouble=no.words, hint=no.hint)
    except ActionError as error:
        words = f"the host says: {error.message}"
        return TargetPreview(host=host, trouble=words, hint=error.hint)
    except (LinkError, KeyFileError) as error:
        words = link_words(error) if isinstance(error, LinkError) else clean(str(error), 400)
        return TargetPreview(host=host, trouble=words)
    except Refused as refused:
        return TargetPreview(host=host, trouble=refused.words, hint=refused.hint)
    except Exception as odd:  # noqa: BLE001,RUF100  # one host's answer, never the console
        words = f"what its guard answers cannot be judged: {type(odd).__name__}"
        return TargetPreview(host=host, trouble=words, hint="Look at that host's guard first.")


def _before(view: HostView) -> None:
    if view.workstation:
        raise NoTarget("this machine is no host of the fleet")
    if not view.spec.guard_id:
        raise NoTarget(
            "no guard is pinned for this host",
            f"Enrol it and note its id as guard_id: watchfloor enroll {view.name} --guard",
        )
    if view.state is HostState.NEW_KEY:
        raise NoTarget("it shows another host key than the pinned one", "Clear that up first.")


def _checked(
    around: Around,
    view: HostView,
    action: str,
    params: dict[str, Any],
    told: dict[str, Any],
    host_key: str,
) -> TargetPreview:
    rules, effector = _fits(around, view, action, told, host_key)
    now, facts, both = told["now"], told["facts"], told["policy"]
    made = plan.plan(action, params, facts, rules.policy.doc)
    digest = plan.digest(made)
    binding = {
        "kind": "binding",
        "v": 1,
        "boot_id": told.get("boot_id"),
        "facts": facts,
        "guard": told.get("guard"),
        "host_id": view.spec.guard_id,
        "host_key": host_key,
        "nonce": told.get("nonce"),
        "plan": digest,
        "policy": both,
    }
    text = canonical.write(binding)
    documents.binding(text)
    return TargetPreview(
        host=view.name,
        host_id=view.spec.guard_id,
        effect=plan.effect(made, rules.policy.doc),
        host_says=plan.host_says(told.get("preview")),
        skew_s=round(now - around.clock.wall(), 1),
        now=now,
        effector=effector,
        confirm_s=made["confirm_s"],
        ttl_s=made["ttl_s"],
        binding=text.decode(),
        plan=digest,
    )


def _fits(
    around: Around, view: HostView, action: str, told: dict[str, Any], host_key: str
) -> tuple[Trusted, str]:
    """By which rules the host is asked, and its effector. Raises NoTarget where the answer is not
    that of the pinned guard, over the verified connection, under this console's rules."""
    now = told.get("now")
    if type(now) is not int or not 0 < now < END_OF_TIME or not isinstance(told.get("facts"), dict):
        raise NoTarget("its guard's challenge has no time or no facts")
    if told.get("host_id") != view.spec.guard_id:
        raise NoTarget(
            "another guard answers than the one that is pinned: a copied or replaced machine",
            "Do nothing before you know why; a machine that was set up anew is enrolled again.",
        )
    keys = told.get("host_keys")
    if not isinstance(keys, list) or host_key not in keys:
        raise NoTarget(
            "the guard's host keys are not the one that SSH verified: the call was passed on",
            "Look for something in between this console and the host.",
        )
    effector = known_build(around, str(told.get("guard", "")))
    if told.get("effector") != effector:
        raise NoTarget("its guard says that it is of another kind than its file is")
    rules = rules_for(around.trusted, action, str(told.get("policy", "")))
    if rules is None:
        raise NoTarget(
            "its roster or policy is not this console's",
            "Compare: watchfloor roster verify; watchfloor policy verify.",
        )
    return rules, effector


def known_build(around: Around, digest: str) -> str:
    """The effector of a guard's build. Raises NoTarget where this console does not know it."""
    effector = around.builds.get(digest)
    if effector is None:
        raise NoTarget(
            "its guard is a build that this console does not know",
            "Compare versions: an older console, an older guard, or a file that was changed.",
        )
    return effector
