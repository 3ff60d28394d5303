"""The line of each key, in TOML of every form."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from console.config.origin import Path, line_of, lines_of

KEYS = st.sampled_from(("a", "b-c", "d e", "[x]", "#", "q'", "x.y", "=", "\u00fc", ""))
TEXTS = st.sampled_from(("", "x", "[a]", "# no", "a = 1", 'q"', "\\", "two\n[a]\nb = 1\n", "'''"))
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(0, 9), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every key of a parsed document, with the indexes of arrays of tables."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths(inner, (*path, number))


@given(DOCUMENTS)
def test_the_line_of_a_key_holds_that_key(data: dict[str, Any]) -> None:
    text = tomlkit.dumps(data)
    found = lines_of(text)
    rows = text.split("\n")
    for path in paths(tomllib.loads(text)):
        line = line_of(found, path)
        assert line is not None
        assert 1 <= line <= len(rows)
        if path in found:
            bare = str(path[-1]).replace("\\", "\\\\").replace('"', '\\"')
            assert bare in rows[line - 1], (path, rows[line - 1])


def test_all_forms_of_one_table() -> None:
    text = """\
a.b = 1
hosts = [
  {x = 1}, # ] [[
]
[t."u v"]
  w = '''
[not]
c = 1
'''
'x y' . z = [
1,
]
[[l]]
[[l.m]]
n = 1
[[l]]
[l.o]
p = 1
"""
    found = lines_of(text)
    assert found == {
        ("a",): 1, ("a", "b"): 1, ("hosts",): 2, ("t",): 5, ("t", "u v"): 5, ("t", "u v", "w"): 6,
        ("t", "u v", "x y"): 10, ("t", "u v", "x y", "z"): 10, ("l",): 13, ("l", 0): 13,
        ("l", 0, "m"): 14, ("l", 0, "m", 0): 14, ("l", 0, "m", 0, "n"): 15, ("l", 1): 16,
        ("l", 1, "o"): 17, ("l", 1, "o", "p"): 18,
    }  # fmt: skip
    assert line_of(found, ("hosts", 0, "x")) == 2
    assert line_of(found, ("none",)) is None
    tomllib.loads(text)
