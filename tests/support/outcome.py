"""What a call gives: its result, or the one error that it may raise."""

from collections.abc import Callable
from typing import TypeVar

from console.errors import WatchfloorError

T = TypeVar("T")
E = TypeVar("E", bound=WatchfloorError)


def outcome(call: Callable[[], T], kind: type[E]) -> T | E:
    """The result of ``call``, or its error of that kind. Any other exception passes on."""
    try:
        return call()
    except kind as error:
        return error
