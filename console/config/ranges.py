"""Names of many hosts in one text: ``gpu[001-128]``, ``rack[1-2]n[1,3,5-9]``, ``n[0-100/10]``.

The syntax is that of cluster tools. A leading zero in the start of a range gives its width. The
number of names is counted before one is made, so that no text can fill the memory.
"""

import itertools
import re

import msgspec

from console.errors import ConfigError
from console.text import clean

MAX_NAMES = 65_536
MAX_DIGITS = 9

_PART = re.compile(r"(\d+)(?:-(\d+))?(?:/(\d+))?\Z", re.ASCII)


class Span(msgspec.Struct, frozen=True):
    """Numbers from ``first`` to ``last`` inclusive, each ``width`` digits or more."""

    first: int
    last: int
    step: int = 1
    width: int = 0

    @property
    def count(self) -> int:
        """How many numbers it stands for."""
        return (self.last - self.first) // self.step + 1

    def texts(self) -> list[str]:
        """The numbers as written in a name."""
        return [f"{n:0{self.width}d}" for n in range(self.first, self.last + 1, self.step)]


class Range(msgspec.Struct, frozen=True):
    """One name with brackets, cut into fixed texts and lists of spans."""

    texts: tuple[str, ...]  # one more than brackets
    brackets: tuple[tuple[Span, ...], ...]

    @property
    def count(self) -> int:
        """How many names it stands for."""
        total = 1
        for spans in self.brackets:
            total *= sum(span.count for span in spans)
        return total

    def expand(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each name with the numbers in its brackets, the last bracket counting fastest."""
        choices = [[text for span in spans for text in span.texts()] for spans in self.brackets]
        out = []
        for numbers in itertools.product(*choices):
            name = self.texts[0]
            for number, text in zip(numbers, self.texts[1:], strict=True):
                name += number + text
            out.append((name, numbers))
        return out


def parse(text: str) -> Range:
    """Cut a name into its parts; nothing is expanded.

    Raises ConfigError for brackets that do not match, parts that are no range, and for more than
    ``MAX_NAMES`` names.
    """
    texts: list[str] = []
    brackets: list[tuple[Span, ...]] = []
    position = 0
    for match in re.finditer(r"\[([^\[\]]*)\]", text):
        texts.append(text[position : match.start()])
        brackets.append(_spans(match[1], text))
        position = match.end()
    texts.append(text[position:])
    if any("[" in part or "]" in part for part in texts):
        raise _wrong("brackets do not match", text)
    found = Range(tuple(texts), tuple(brackets))
    check_count(found.count, text)
    return found


def check_count(count: int, what: str) -> None:
    """Raise ConfigError when ``count`` names are more than one configuration may hold."""
    if count > MAX_NAMES:
        raise ConfigError(
            f"{clean(what, 80)!r} stands for {count:,} hosts, more than {MAX_NAMES:,}",
            hint="Write a smaller range.",
        )


def expand(text: str) -> list[str]:
    """All names that ``text`` stands for; itself when it has no brackets."""
    return [name for name, _ in parse(text).expand()]


def split(text: str) -> list[str]:
    """Cut at commas and spaces that are outside brackets; empty parts are left out."""
    parts = [""]
    depth = 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if depth <= 0 and (char == "," or char.isspace()):
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part]


def _spans(inside: str, text: str) -> tuple[Span, ...]:
    return tuple(_span(part.strip(), text) for part in inside.split(","))


def _span(part: str, text: str) -> Span:
    match = _PART.match(part)
    if not match:
        raise _wrong(f"{clean(part, 40)!r} is no range", text)
    first, last, step = match[1], match[2] or match[1], match[3] or "1"
    if max(len(first), len(last), len(step)) > MAX_DIGITS:
        raise _wrong(f"a number has more than {MAX_DIGITS} digits", text)
    if match[3] and not match[2]:
        raise _wrong(f"{part!r} has a step but no end", text)
    if int(step) == 0:
        raise _wrong("a step of 0", text)
    if int(last) < int(first):
        raise _wrong(f"{part!r} runs backwards", text)
    padded = first.startswith("0") and len(first) > 1
    if last.startswith("0") and len(last) > 1 and len(last) != len(first):
        raise _wrong(f"the numbers of {part!r} have different widths", text)
    return Span(int(first), int(last), int(step), len(first) if padded else 0)


def _wrong(why: str, text: str) -> ConfigError:
    return ConfigError(
        f"{clean(text, 80)!r}: {why}", hint="A range looks like gpu[001-128] or n[1,3,5-9/2]."
    )
