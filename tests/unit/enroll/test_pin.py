"""What a host says at its enrolment is pinned, and another key is never taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.demo.fido import FileKey
from console.enroll.pin import pin
from console.errors import ProtocolError
from console.hostside.guard.trust.sshsig import key_line
from console.store.witness import Witness

KEY, OTHER = FileKey(b"a" * 32).public_line, FileKey(b"b" * 32).public_line
HOST_ID = "0123456789abcdef" * 2


def said(key: str = KEY, host_id: object = HOST_ID) -> str:
    return json.dumps({"audit_key": key, "host_id": host_id})


def test_the_key_of_the_enrolment_is_pinned_and_stays(tmp_path: Path) -> None:
    (line,) = pin("gpu01", said(), tmp_path)
    assert HOST_ID in line
    assert pin("gpu01", said(), tmp_path) == [line]
    with pytest.raises(ProtocolError, match="is known here"):
        pin("gpu01", said(OTHER), tmp_path)
    witness = Witness(tmp_path)
    assert witness.pinned("gpu01") == (key_line(KEY), "enrolled")
    assert [each.data for each in witness.seen("gpu01", "identity")] == [
        json.dumps({"host_id": HOST_ID, "audit_key": KEY}, separators=(",", ":")).encode()
    ]
    assert witness.pin("gpu01", key_line(OTHER), "first-sight") == key_line(KEY)
    witness.close()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", said(host_id=5), said(host_id="x" * 32), said(key="ssh-rsa AAAA"),
     said(key=KEY + "\n"), said() + " " * 5000],
)  # fmt: skip
def test_what_says_no_id_and_key_is_not_pinned(text: str, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="enrol"):
        pin("gpu01", text, tmp_path)
    assert not (tmp_path / "witness.db").exists()
