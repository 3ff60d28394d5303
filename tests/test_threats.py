"""Every numbered attack of the two-person threat model is a test somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ALL = 100
_LISTED = re.compile(r"Threats?: ([0-9, ]+)")


def covered() -> dict[int, list[str]]:
    """Names of the tests of each threat, as their docstrings say: ``Threats: 7, 8.``"""
    found: dict[int, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            # a stateful test of hypothesis is a class
            for numbers in _LISTED.findall(ast.get_docstring(node) or ""):
                for number in re.findall(r"\d+", numbers):
                    found.setdefault(int(number), []).append(f"{file.name}::{node.name}")
    return found


def test_all_hundred_threats_have_a_test() -> None:
    found = covered()
    assert sorted(set(range(1, ALL + 1)) - found.keys()) == [], "threats without a test"
    assert [number for number in found if not 1 <= number <= ALL] == []
