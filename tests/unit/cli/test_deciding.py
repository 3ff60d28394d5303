"""What the verbs that decide sign, for which hosts, and what they say before."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from console.cli import deciding
from console.cli.acting import _payload
from console.config.loader import Config
from console.engine.session import LocalEngine
from console.errors import ActionError, UsageError
from console.headless import actions as lines
from console.model.guard import RequestView
from tests.support.acting_engine import RID, WORDS, ActingEngine, guard_view, request_view
from tests.support.still_engine import view

BOTH = ("gpu01", "gpu02")


class Verbs(ActingEngine):
    """An engine for verbs, which also wait for confirmations."""

    def __init__(self, *requests: RequestView) -> None:
        super().__init__(
            *(view(each.host, guard=guard_view(requests=(each,))) for each in requests)
        )

    @property
    def acting(self) -> Any:
        return self

    async def confirmed(self) -> None:
        """Nothing was applied."""

    def prepare(self, hosts: Any) -> Any:
        return []


async def decide(engine: Verbs, **more: Any) -> int:
    given = {"id": RID, "verb": "approve", "words": WORDS, "comment": "", "json": False,
             "also_unseen": False}  # fmt: skip
    args = argparse.Namespace(**given | more)
    return await deciding._decide(args, cast("Config", None), cast("LocalEngine", engine))


async def test_an_approval_that_counts_where_nothing_is_seen_is_refused_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Threats: 50."""
    engine = Verbs(request_view("gpu01", hosts=BOTH))
    with pytest.raises(ActionError, match="gpu02") as refused:
        await decide(engine)
    assert "--also-unseen" in str(refused.value.hint)
    assert not engine.done("approve")
    assert await decide(engine, also_unseen=True) == 0
    assert engine.done("approve") == [("approve", "gpu01", RID, "", "unseen gpu02")]
    assert "NOT SEEN HERE, and the approval counts there as well: gpu02" in capsys.readouterr().err
    assert await decide(engine, verb="deny") == 0, "a denial does nothing anywhere"


async def test_a_host_that_shows_a_copy_keeps_nobody_from_approving(
    capsys: pytest.CaptureFixture[str],
) -> None:
    why = "it is about another host than the one that shows it"
    engine = Verbs(
        request_view("gpu01"),
        request_view("evil", verified=False, may_approve=False, why_not=why, why_not_verified=why),
    )
    assert await decide(engine) == 0
    assert engine.done("approve") == [("approve", "gpu01", RID, "")]
    assert f"LEFT OUT: evil: {why}" in capsys.readouterr().err
    alone = Verbs(request_view("evil", verified=False, may_approve=False, why_not=why))
    with pytest.raises(ActionError, match="another host"):
        await decide(alone)


async def test_how_many_counts_all_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Verbs(*(request_view(name, hosts=BOTH) for name in BOTH))
    engine.guard("gpu02", requests=(
        request_view("gpu02", hosts=BOTH, may_approve=False, why_not="it is not LIVE"),
    ))  # fmt: skip
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(
        deciding, "typed", lambda wanted, given, what, flag: asked.append(wanted)
    )  # fmt: skip
    assert await decide(engine, words="") == 0
    assert asked == ["2 hosts"]


def test_what_a_host_says_cannot_look_like_our_own_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of spaces that push words to the next line of a terminal are squeezed. Threats: 49."""
    for columns in (40, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        line = "tried by nft".ljust(70) + "effect, as this console reckons it:".ljust(80) + "none"
        shown = [*lines.claims("gpu01", [("effect", line), ("effect", "x" * 300)])]
        assert len(shown) > 3
        assert all(each.startswith("  | gpu01: ") for each in shown)
        assert max(map(len, shown)) < columns
        assert "   " not in "".join(each[11:].strip() for each in shown)


@pytest.mark.parametrize("data", [b"[]", b"\xff", b'{"signatures":[1]}', b'{"signatures":5}', b"{"])
def test_a_file_of_signatures_that_is_none_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "guard.json").write_bytes(b"{}")
    (tmp_path / "guard.sigs").write_bytes(data)
    with pytest.raises(UsageError, match="no file of signatures"):
        _payload(tmp_path / "guard.json")
