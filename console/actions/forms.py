"""The parameters of each action as fields of a form, and typed text as the values they take."""

from collections.abc import Mapping
from typing import Any

import msgspec

from console.errors import ActionError
from console.hostside.guard.host.evidence import PARTS
from console.model.guard import Field, Preview
from console.text import clean

MOST = 32
"""Names that a form lists."""
_TEXT, _NUMBER, _LIST, _NUMBERS, _VERSIONS = "text", "number", "list", "numbers", "versions"


def _text(name: str, words: str, *, optional: bool = False) -> Field:
    return Field(name=name, kind=_TEXT, words=words, optional=optional)


def _number(name: str, words: str, default: str = "") -> Field:
    return Field(name=name, kind=_NUMBER, words=words, default=default)


_MODEL = _text("model", "the model's name")
_VERSION = _text("version", "its version")
_CONFIRM = _number("confirm_s", "seconds until it is undone unless the way in is confirmed", "120")
_SERVICE = _text("service", "a unit that the policy declares, NAME.service")
_USER = _text("user", "the account's name")
_CLIENT = _text("key", "id of the client, as the gateway knows it")
_SHA256 = _text("sha256", "digest of what is to be in force")

FIELDS: dict[str, tuple[Field, ...]] = {
    "isolate": (
        Field(name="mgmt", kind=_LIST, words="networks that may still reach SSH"),
        _CONFIRM,
    ),
    "release": (_text("id", "id of the request that stands"),),
    "disconnect-inbound": (
        Field(name="ports", kind=_NUMBERS, words="ports of the model services"),
        _CONFIRM,
    ),
    "block-source": (
        _text("source", "address or prefix, such as 203.0.113.7 or 203.0.113.0/24"),
        _number("expires_s", "seconds until it ends by itself", "3600"),
        _CONFIRM,
    ),
    "block-api-key": (_CLIENT,),
    "limit-api-key": (_CLIENT, _number("per_minute", "requests a minute that are let through")),
    "restore-firewall": (_SHA256,),
    "restart-hardened": (_SERVICE,),
    "apply-update": (
        Field(name="packages", kind=_VERSIONS, words="packages as NAME=VERSION, several if so"),
    ),
    "block-user": (_USER,),
    "unblock-user": (_USER,),
    "stop-service": (_SERVICE,),
    "start-service": (_SERVICE,),
    "kill-process": (
        _number("pid", "its process id"),
        _number("start_time", "its start in clock ticks since boot: field 22 of /proc/PID/stat"),
        _text("exe", "its program, as /proc/PID/exe has it; empty: the host tells", optional=True),
    ),
    "collect-evidence": (
        _number("since_s", "seconds of the journal that are packed", "3600"),
        Field(name="include", kind=_LIST, words="parts", default=" ".join(PARTS)),
    ),
    "quarantine-model": (_MODEL, _VERSION),
    "rollback-model": (_MODEL, _text("to", "the earlier version to serve again")),
    "promote-model": (
        _MODEL,
        _VERSION,
        _text("evaluation_sha256", "digest of the evaluation report"),
        _text("manifest_sha256", "digest of the version's manifest"),
    ),
    "secure-delete": (
        _text("path", "what is to be destroyed, an absolute path"),
        _number("device", "device that it lies on, as the inventory shows it"),
        _number("inode", "its inode"),
        Field(name="kind", kind="choice", words="what it is", choices=("file", "tree")),
    ),
    "install-roster": (_SHA256,),
    "install-policy": (_SHA256,),
    "install-guard": (_SHA256,),
}
_FROM_POLICY = {"mgmt": "mgmt_networks", "ports": "api_ports", "confirm_s": "confirm_s"}
_DECLARED = {"service": "services"}
"""Fields whose values must be named by a list of the policy."""
_NAMED = {"ports": "api_ports", "mgmt": "mgmt_networks", "model": "health"}
"""Fields whose values the policy makes likely."""
EXPIRES_MIN = (5, 60)


def fields(action: str, policy: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of an action's form in the order in which they are filled in, with what the
    policy suggests."""
    return tuple(_suggested(field, policy) for field in FIELDS.get(action, ()))


def lifetime(preview: Preview, minutes: str) -> Preview:
    """The same, running out after so many minutes; empty: as the policy has it. Raises
    ActionError."""
    text = minutes.strip()
    if not text:
        return preview
    least, most = EXPIRES_MIN
    if not (text.isascii() and text.isdigit() and least <= int(text[:6]) <= most):
        raise ActionError(
            f"expires is {clean(text, 40)!r}, and takes {least} to {most} minutes",
            rule="parameters",
        )
    until = preview.not_before + 60 * int(text)
    if preview.not_before and until > preview.expires:
        allowed = (preview.expires - preview.not_before) // 60
        raise ActionError(f"the policy lets a request live {allowed} minutes", rule="parameters")
    return msgspec.structs.replace(preview, expires=until if preview.not_before else 0)


def _choices(field: Field, policy: Mapping[str, Any]) -> tuple[str, ...]:
    found = policy.get(_DECLARED.get(field.name) or _NAMED.get(field.name, ""))
    return tuple(map(str, found))[:MOST] if isinstance(found, list | dict) else ()


def _suggested(field: Field, policy: Mapping[str, Any]) -> Field:
    if choices := _choices(field, policy):
        field = msgspec.structs.replace(field, choices=choices)
    found = policy.get(_FROM_POLICY.get(field.name, ""))
    if found is None:
        return field
    text = " ".join(map(str, found)) if isinstance(found, list) else str(found)
    return msgspec.structs.replace(field, default=text)


def typed(action: str, params: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the action takes them: text for a number, list or flag is read as one, and what
    is left out is what the form suggests.

    Raises ActionError. What an action has no field for is left to the action to refuse.
    """
    kinds = {field.name: field for field in fields(action, policy)}
    suggested = {name: field.default for name, field in kinds.items() if field.default}
    given = {
        name: value for name, value in params.items()
        if value != "" or name not in kinds or not kinds[name].optional
    }  # fmt: skip
    for name, list_ in _DECLARED.items():
        _among(name, given.get(name), policy.get(list_), list_)
    return {
        name: _value(kinds[name], value) if name in kinds and isinstance(value, str) else value
        for name, value in {**suggested, **given}.items()
    }


def _among(name: str, value: object, declared: object, list_: str) -> None:
    if isinstance(value, str) and isinstance(declared, list) and value not in declared:
        names = ", ".join(map(str, declared)) or "none"
        raise ActionError(
            f"the {name} {clean(value, 60)!r} is not among those of the policy: {names}",
            hint=f"Take one of them, or have policy.{list_} name it, by two people.",
            rule="policy",
        )


def _value(field: Field, text: str) -> Any:
    text = text.strip()
    if field.kind == _NUMBER:
        return _whole(field, text)
    words = text.replace(",", " ").split()
    if field.kind == _LIST:
        return list(dict.fromkeys(words))
    if field.kind == _VERSIONS:
        pairs = [word.partition("=") for word in words]
        return [{"name": name, "version": version} for name, _, version in pairs]
    if field.kind == _NUMBERS:
        return [_whole(field, word) for word in dict.fromkeys(words)]
    if field.kind == "flag":
        if text not in ("true", "false", "yes", "no"):
            raise ActionError(f"{field.name} takes yes or no", rule="parameters")
        return text in ("true", "yes")
    return text


def _whole(field: Field, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ActionError(
            f"{field.name} is {clean(text, 40)!r}, and takes a whole number",
            hint=field.words,
            rule="parameters",
        )
    return int(text)
