"""From a challenge to a release, and what is refused on the way."""

from tests.support.guardhost import Host


def test_two_people_isolate_confirm_and_release(host: Host) -> None:
    submitted = host.submit("alice")
    assert submitted["state"] == "PENDING", submitted
    rid = submitted["id"]
    assert host.done() == []
    assert [each["state"] for each in host.published("request")] == ["PENDING"]
    answer = host.decide(rid, "bob")
    assert answer["state"] == "APPLIED", answer
    assert host.done()
    assert host.confirm(answer)["state"] == "STANDING"
    release = host.submit("carol", action="release", params={"id": rid})
    assert release["ok"], release
    assert host.done()
    ended = host.decide(release["id"], "alice")
    assert ended["state"] == "DONE", ended
    assert host.done() == []
    assert host.state["active"] == []
    assert [each["state"] for each in host.state["closed"]] == ["RELEASED", "DONE"]
    assert host.events(rid) == ["submit", "decide", "exec_start", "exec_end", "confirm"]
