"""Requests and decisions as files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from console.actions.files import DECISION, Unfinished, decision, export, kind_of, load, save
from console.errors import ActionError
from console.hostside.guard.trust import canonical, documents
from console.model.guard import About, Outcome, Preview, TargetPreview


def preview(*hosts: str) -> Preview:
    return Preview(
        action="isolate", about=About(), params="{}", shown=(),
        targets=tuple(TargetPreview(host=host) for host in hosts),
        requester="alice", workstation="desk", modes=("two_before",),
    )  # fmt: skip


def test_what_goes_on_later_are_the_hosts_that_were_not_reached(tmp_path: Path) -> None:
    outcomes = (
        Outcome(host="a", ok=True),
        Outcome(host="b", ok=False, rule="link"),
        Outcome(host="c", ok=False, rule="policy-changed"),
    )
    path = tmp_path / "r.json"
    kept = Unfinished(
        preview=preview("a", "b", "c", "d"), request="r", signature="s", outcomes=outcomes
    )
    save(path, kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = load(path)
    assert again == kept
    assert [target.host for target in again.rest.targets] == ["b", "d"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 9000])
def test_a_file_that_is_none_of_ours_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(data)
    with pytest.raises(ActionError):
        load(path)
    with pytest.raises(ActionError):
        kind_of(data)
    with pytest.raises(ActionError):
        load(tmp_path / "gone")


def test_an_exported_decision_is_a_document_that_hosts_take(tmp_path: Path) -> None:
    texts = {"request": "{}", "signature": "s", "binding": "b"}
    path = export(tmp_path / "x", texts, "bob", "deny", "not now", 1_790_000_000)
    assert path.name == DECISION
    found = documents.approval(path.read_bytes())
    assert (found["by"], found["verdict"]) == ("bob", "deny")
    assert found["request_sha256"] == canonical.sha256(b"{}")
    with pytest.raises(ActionError, match="its signature is not beside it"):
        decision(tmp_path / "x")  # nobody has signed it
    (tmp_path / f"x/{DECISION}.sig").write_text("signature")
    assert decision(tmp_path / "x") == decision(path) == (path.read_bytes(), "signature")
    with pytest.raises(ActionError):
        export(tmp_path / "y", texts, "Bob!", "deny", "", 1)
