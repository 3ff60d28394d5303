"""The parameters of each action as fields of a form, and typed text as the values they take."""

from collections.abc import Mapping
from typing import Any

from console.errors import ActionError
from console.model.guard import Field
from console.text import clean

_TEXT, _NUMBER, _LIST = "text", "number", "list"


def _text(name: str, words: str, default: str = "") -> Field:
    return Field(name=name, kind=_TEXT, words=words, default=default)


def _number(name: str, words: str, default: str = "") -> Field:
    return Field(name=name, kind=_NUMBER, words=words, default=default)


_MODEL = _text("model", "the model's name")
_VERSION = _text("version", "its version")
_SERVICE = _text("service", "a unit that the policy declares, NAME.service")
_USER = _text("user", "the account's name")
_REQUEST = _text("id", "id of the standing request")

FIELDS: dict[str, tuple[Field, ...]] = {
    "quarantine-model": (_MODEL, _VERSION),
    "rollback-model": (_MODEL, _text("to", "the earlier version to serve again")),
    "promote-model": (
        _MODEL,
        _VERSION,
        _text("evaluation_sha256", "digest of the evaluation report"),
        _text("manifest_sha256", "digest of the version's manifest"),
    ),
}


def fields(action: str) -> tuple[Field, ...]:
    """The fields of an action's form, in the order in which they are filled in."""
    return FIELDS.get(action, ())


def typed(action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the action takes them: text for a number, list or flag is read as one.

    Raises ActionError. What an action has no field for is left to the action to refuse.
    """
    kinds = {field.name: field for field in fields(action)}
    return {
        name: _value(kinds[name], value) if name in kinds and isinstance(value, str) else value
        for name, value in params.items()
    }


def _value(field: Field, text: str) -> Any:
    text = text.strip()
    if field.kind == _NUMBER:
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise ActionError(
                f"{field.name} is {clean(text, 40)!r}, and takes a whole number",
                hint=field.words,
                rule="parameters",
            )
        return int(text)
    if field.kind == _LIST:
        return sorted(set(text.replace(",", " ").split()))
    if field.kind == "flag":
        if text not in ("true", "false", "yes", "no"):
            raise ActionError(f"{field.name} takes yes or no", rule="parameters")
        return text in ("true", "yes")
    return text
