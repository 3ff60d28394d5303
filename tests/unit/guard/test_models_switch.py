"""Rollback and promotion: a real server over real files, a health check that fails, and kills."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.actions import action
from console.hostside.guard.host import procs
from console.hostside.guard.model import models
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.steps.base import StepFailed
from console.hostside.guard.world import Ran
from tests.support import guardkit, modelkit
from tests.support.guardkit import refused
from tests.support.modelkit import MODEL, Killed, Models, Run

LIMITS = {"accuracy": {"min": 900_000}, "toxicity": {"max": 5_000}}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Models]:
    found = Models(tmp_path / "host")
    yield found
    modelkit.end(found)


@pytest.fixture
def serving(host: Models) -> Models:
    """Version 2 is served, version 1 is there."""
    host.version("1", b"one")
    host.version("2", b"two")
    host.link("2")
    host.serve()
    return host


def served(host: Models) -> bytes:
    """What the server answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{host.world.port}/", timeout=5) as answer:
        data: bytes = answer.read()
    return data


def test_a_rollback_serves_the_earlier_version(serving: Models) -> None:
    plan = serving.plan("rollback-model", model=MODEL, to="1")
    assert [item["kind"] for item in plan["steps"]] == [
        "space", "verify", "link", "health", "verify",
    ]  # fmt: skip
    run = Run(plan, serving.world)
    assert run.go() == ""
    assert serving.current == "versions/1"
    assert served(serving) == b"one"
    assert run.result["signer"] == "carol"
    # And back again: what was served before is a way back, though its number is higher.
    assert Run(serving.plan("rollback-model", model=MODEL, to="2"), serving.world).go() == ""
    assert served(serving) == b"two"


def test_a_failing_health_check_returns_to_the_version_before(host: Models) -> None:
    host.version("1", b"one BROKEN")
    host.version("2", b"two")
    host.link("2")
    host.serve(timeout_s=1)
    why = Run(host.plan("rollback-model", model=MODEL, to="1"), host.world).go()
    assert "status 500 after 1 s" in why
    assert host.current == "versions/2"
    assert served(host) == b"two"
    assert not list((host.base / f"srv/models/{MODEL}").glob(".*"))


def test_a_service_that_dies_returns_to_the_version_before(serving: Models) -> None:
    def die(point: str) -> None:
        if point == "link.restarted" and serving.world.starts == 2:
            serving.world.stop()

    serving.world.on_mark = die
    serving.write(health={MODEL: {**serving.policy["health"][MODEL], "timeout_s": 1}})
    why = Run(serving.plan("rollback-model", model=MODEL, to="1"), serving.world).go()
    assert "no answer (Connection refused)" in why
    assert served(serving) == b"two"


def test_files_changed_after_the_signatures_stop_it_before_the_switch(serving: Models) -> None:
    plan = serving.plan("rollback-model", model=MODEL, to="1")
    (serving.folder("1") / "weights.bin").write_bytes(b"bad")
    assert "weights.bin is not what the manifest says" in Run(plan, serving.world).go()
    assert serving.world.starts == 1
    assert serving.current == "versions/2"


def test_files_changed_while_it_starts_return_to_the_version_before(serving: Models) -> None:
    plan = serving.plan("rollback-model", model=MODEL, to="1")

    def poison(point: str) -> None:
        if point == "link.restarted":
            (serving.folder("1") / "weights.bin").write_bytes(b"bad")

    serving.world.on_mark = poison
    assert "weights.bin is not what the manifest says" in Run(plan, serving.world).go()
    assert serving.current == "versions/2"
    assert served(serving) == b"two"


def test_a_manifest_signed_anew_after_the_signatures_is_refused(serving: Models) -> None:
    plan = serving.plan("rollback-model", model=MODEL, to="1")
    (serving.folder("1") / "weights.bin").write_bytes(b"bad")
    serving.sign("1", "bob")
    assert "not the one that was signed for" in Run(plan, serving.world).go()


def test_a_link_that_somebody_moved_meanwhile_is_left_alone(serving: Models) -> None:
    plan = serving.plan("rollback-model", model=MODEL, to="1")
    serving.version("3", b"three")
    (serving.base / f"srv/models/{MODEL}/current").unlink()
    serving.link("3")
    assert "leads to 3" in Run(plan, serving.world).go()
    assert serving.current == "versions/3"
    assert serving.world.starts == 1


def test_no_room_stops_it_before_anything(serving: Models) -> None:
    plan = serving.plan("rollback-model", model=MODEL, to="1")
    plan["steps"][0]["args"]["bytes"] = 1 << 60
    assert "MiB left" in Run(plan, serving.world).go()
    assert serving.world.starts == 1


def test_the_room_that_is_asked_for_grows_with_the_model(serving: Models) -> None:
    facts = {
        "root": "/srv/models", "from": "2", "manifest": "0" * 64, "size": 140 << 30, "files": 9,
        "image": "", "served": True, "signer": "carol", "than": "2",
    }  # fmt: skip
    plan = action("rollback-model").render({"model": MODEL, "to": "1"}, facts, serving.policy)
    assert plan["steps"][0]["args"]["bytes"] == (140 << 30) // 100


@pytest.mark.parametrize("how", ["undo", "again"])
def test_killed_at_every_point_it_is_finished_or_put_back(host: Models, how: str) -> None:
    host.version("1", b"one")
    host.version("2", b"two")
    host.link("2")
    host.serve()
    plan = host.plan("rollback-model", model=MODEL, to="1")
    world = host.world
    points = 0
    while True:
        points += 1
        world.marks, world.kill_at = [], points
        run = Run(plan, world)
        try:
            assert run.go() == ""
            break
        except Killed:
            world.kill_at = -1
        if how == "again":
            assert run.go() == ""
            assert (host.current, served(host)) == ("versions/1", b"one")
        run.undo()
        starts = world.starts
        run.undo()
        assert world.starts == starts, "undone twice is undone once"
        assert (host.current, served(host)) == ("versions/2", b"two")
        assert not list((host.base / f"srv/models/{MODEL}").glob(".*"))
    assert points > 5


def test_killed_while_it_is_put_back_it_is_put_back_by_the_next(host: Models) -> None:
    host.version("1", b"one")
    host.version("2", b"two")
    host.link("2")
    host.serve()
    plan = host.plan("rollback-model", model=MODEL, to="1")
    world = host.world
    for point in range(1, 20):
        world.marks, world.kill_at = [], -1
        run = Run(plan, world)
        assert run.go() == ""
        world.marks, world.kill_at = [], point
        try:
            run.undo()
            break
        except Killed:
            world.kill_at = -1
        run.undo()
        assert (host.current, served(host)) == ("versions/2", b"two")
    assert point > 3


def test_a_newer_version_needs_promotion(serving: Models) -> None:
    serving.version("3", b"three")
    found = refused(serving.plan, "rollback-model", model=MODEL, to="3")
    assert found.rule == "not-earlier"
    assert "promote-model" in found.hint


@pytest.mark.parametrize(
    ("changes", "to", "rule"),
    [
        ({}, "2", "model"),
        ({}, "9", "model"),
        ({"health": {}}, "1", "health"),
        ({"services": []}, "1", "policy"),
        ({"models": []}, "1", "model"),
    ],
)
def test_what_policy_does_not_declare_is_refused(
    serving: Models, changes: dict[str, object], to: str, rule: str
) -> None:
    serving.write(**changes)
    assert refused(serving.plan, "rollback-model", model=MODEL, to=to).rule == rule


def test_a_link_to_anywhere_else_is_refused(serving: Models) -> None:
    current = serving.base / f"srv/models/{MODEL}/current"
    for target in ("/etc", "versions/../../x", "versions", "../llama/versions/2"):
        current.unlink()
        current.symlink_to(target)
        assert refused(serving.plan, "rollback-model", model=MODEL, to="1").rule == "model"


def test_the_preview_says_what_happens_and_who_is_cut_off(serving: Models) -> None:
    said = serving.preview("rollback-model", model=MODEL, to="1")
    assert said["effect"][0] == "llama: version 2 -> 1"
    assert any("automatic return to version 2" in line for line in said["effect"])
    assert "model.service" in said["cut_off"][0]


IMAGE = "registry:5000/vllm@sha256:" + "a" * 64


def test_an_image_is_switched_by_the_same_link_and_named_in_the_plan(host: Models) -> None:
    host.version("1", b"one", image_env=f"IMAGE={IMAGE}\n".encode())
    host.version("2", b"two")
    host.link("2")
    host.serve(kind="image")
    plan = host.plan("rollback-model", model=MODEL, to="1")
    assert plan["steps"][1]["args"]["image"] == IMAGE
    assert any("was not found on this host" in line for line in
               host.preview("rollback-model", model=MODEL, to="1")["residual"])  # fmt: skip
    assert Run(plan, host.world).go() == ""
    assert refused(host.plan, "rollback-model", model=MODEL, to="2").rule == "image"


class TestPromotion:
    """A new version, its manifest and its evaluation."""

    @pytest.fixture
    def new(self, serving: Models) -> Models:
        serving.write(evaluation=LIMITS)
        self.manifest = serving.version("3", b"three")
        return serving

    def promote(self, host: Models, **metrics: int) -> str:
        """Evaluate version 3 with these metrics and carry the promotion out."""
        report = host.evaluate("3", self.manifest, "bob", **metrics)
        plan = host.plan(
            "promote-model", model=MODEL, version="3", evaluation_sha256=report,
            manifest_sha256=self.manifest,
        )  # fmt: skip
        return Run(plan, host.world).go()

    def test_within_the_limits_it_is_served(self, new: Models) -> None:
        assert self.promote(new, accuracy=900_000, toxicity=5_000, other=-7) == ""
        assert served(new) == b"three"

    @pytest.mark.parametrize(
        ("metrics", "words"),
        [
            ({"accuracy": 899_999, "toxicity": 1}, "accuracy is 899999, below the 900000"),
            ({"accuracy": 950_000, "toxicity": 5_001}, "toxicity is 5001, above the 5000"),
            ({"accuracy": 950_000}, "does not say toxicity"),
        ],
    )
    def test_outside_it_is_refused(self, new: Models, metrics: dict[str, int], words: str) -> None:
        assert words in refused(self.promote, new, **metrics).words

    def test_without_a_report_it_is_refused(self, new: Models) -> None:
        params = {
            "model": MODEL, "version": "3", "evaluation_sha256": "0" * 64,
            "manifest_sha256": self.manifest,
        }  # fmt: skip
        assert "EVALUATION.json is not there" in refused(new.plan, "promote-model", **params).words
        new.evaluate("3", self.manifest, accuracy=950_000, toxicity=1)
        assert "not the one that was named" in refused(new.plan, "promote-model", **params).words

    def test_a_report_of_other_files_is_refused(self, new: Models) -> None:
        new.evaluate("3", "f" * 64, accuracy=950_000, toxicity=1)
        self.manifest, was = "f" * 64, self.manifest
        assert "made of other files" in refused(self.promote, new, accuracy=1).words
        self.manifest = was

    def test_a_report_by_a_stranger_is_refused(self, new: Models) -> None:
        report = new.evaluate("3", self.manifest, by="mallory", accuracy=950_000, toxicity=1)
        params = {
            "model": MODEL, "version": "3", "evaluation_sha256": report,
            "manifest_sha256": self.manifest,
        }  # fmt: skip
        assert refused(new.plan, "promote-model", **params).rule == "unknown-key"

    def test_without_limits_nothing_is_good_enough(self, new: Models) -> None:
        new.write(evaluation={})
        assert "bounds no metric" in refused(self.promote, new, accuracy=1).words

    def test_a_report_changed_after_the_signatures_stops_it(self, new: Models) -> None:
        report = new.evaluate("3", self.manifest, accuracy=950_000, toxicity=1)
        plan = new.plan(
            "promote-model", model=MODEL, version="3", evaluation_sha256=report,
            manifest_sha256=self.manifest,
        )  # fmt: skip
        new.evaluate("3", self.manifest, accuracy=999_999, toxicity=1)
        assert "evaluation of version 3" in Run(plan, new.world).go()
        assert served(new) == b"two"


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("/srv/models"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
GOOD: dict[str, dict[str, Any]] = {
    "rollback-model": {"model": "a", "to": "1"},
    "promote-model": {
        "model": "a", "version": "1", "evaluation_sha256": "0" * 64, "manifest_sha256": "0" * 64,
    },
    "quarantine-model": {"model": "a", "version": "1"},
    "secure-delete": {"path": "/srv/models/a", "device": 1, "inode": 2, "kind": "tree"},
}  # fmt: skip
SERVED: dict[str, Any] = {
    "files": 1, "from": "2", "image": "", "manifest": "0" * 64, "root": "/srv/models",
    "served": True, "signer": "carol", "size": 1, "than": "",
}  # fmt: skip
REPORT = {"metrics": {"accuracy": 950_000, "toxicity": 1}, "sha256": "0" * 64, "signer": "bob"}
TRUE: dict[str, dict[str, Any]] = {
    "rollback-model": SERVED,
    "promote-model": {**SERVED, "evaluation": REPORT},
    "quarantine-model": {
        "device": 1, "digest": "0" * 64, "inode": 2, "root": "/srv/models", "served": True,
    },
    "secure-delete": {
        "also": [], "bytes": 1, "files": 1, "how": "overwrite", "root": "/srv/models",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(GOOD))
@given(data=st.data())
def test_facts_that_a_host_invents_give_a_plan_or_a_refusal(name: str, data: st.DataObject) -> None:
    """A console renders what a host tells; nothing but a refusal may come of it."""
    policy = guardkit.policy_doc(
        services=["a.service"], evaluation=LIMITS,
        health={"a": {"service": "a.service", "kind": "link", "expect": 200, "timeout_s": 1,
                      "url": "http://127.0.0.1:1/"}},
    )  # fmt: skip
    act = action(name)
    act.check(GOOD[name])
    assert act.render(GOOD[name], TRUE[name], policy)["steps"]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(TRUE[name])), HOSTILE, min_size=1))
    more = data.draw(st.dictionaries(st.text(max_size=4), HOSTILE, max_size=1))
    facts = {**TRUE[name], **changed, **more}
    try:
        plan = act.render(GOOD[name], facts, policy)
        for item in plan["steps"]:
            step(item["kind"]).check(item["args"])
    except Refused:
        pass


class TestWhatWasServedIsTheGuardsOwnRecord:
    """The account of the model owns its folder, and may let ``current`` lead anywhere."""

    def given_away(self, host: Models, version: str) -> None:
        """The account lets ``current`` lead to ``version``, in a folder that is its own."""
        folder = host.base / f"srv/models/{MODEL}"
        (folder / "current").unlink()
        (host.folder(version)).mkdir(exist_ok=True)
        host.link(version)
        folder.chmod(0o777)

    def test_a_link_that_others_may_change_makes_no_version_an_earlier_one(
        self, serving: Models
    ) -> None:
        serving.version("3", b"never evaluated")
        self.given_away(serving, "9")
        found = refused(serving.plan, "rollback-model", model=MODEL, to="3")
        assert found.rule == "not-earlier"

    def test_nor_after_the_guard_has_served_one(self, serving: Models) -> None:
        assert Run(serving.plan("rollback-model", model=MODEL, to="1"), serving.world).go() == ""
        serving.version("3", b"never evaluated")
        self.given_away(serving, "9")
        for version in ("3", "2.5"):
            if version != "3":
                serving.version(version, b"never evaluated")
            found = refused(serving.plan, "rollback-model", model=MODEL, to=version)
            assert found.rule == "not-earlier"
        # What root had set before the first switch, and what the guard has set, is known.
        assert serving.plan("rollback-model", model=MODEL, to="2")["steps"]

    def test_a_switch_that_was_undone_leaves_no_record(self, host: Models) -> None:
        host.version("1", b"one BROKEN")
        host.version("2", b"two")
        host.link("2")
        host.serve(timeout_s=1)
        plan = host.plan("rollback-model", model=MODEL, to="1")
        assert Run(plan, host.world).go()
        assert models.served("/srv/models", MODEL, host.world) == ["2"]


def test_documents_of_a_model_are_signed_by_somebody_who_may_approve_them(serving: Models) -> None:
    """A person who may only ask for an isolation vouches for no version."""
    serving.sign("1", "dave")
    found = refused(serving.plan, "rollback-model", model=MODEL, to="1")
    assert found.rule == "role"
    assert "dave" in found.words


def test_documents_of_a_model_are_signed_with_a_pin_where_the_policy_asks(serving: Models) -> None:
    """As the rule of the action asks of its approvals."""
    data = (serving.folder("1") / "MANIFEST.json").read_bytes()
    signature = guardkit.key_of("carol").sign(data, "manifest-v1@watchfloor", flags=1)
    (serving.folder("1") / "MANIFEST.json.sig").write_text(signature)
    found = refused(serving.plan, "rollback-model", model=MODEL, to="1")
    assert found.rule == "user-verification"
    rule = {"mode": "two_before", "people": 2, "require_uv": False, "ttl_s": 0, "ratify_s": 300}
    serving.write(actions={"rollback-model": rule}, require_uv=False)
    assert serving.plan("rollback-model", model=MODEL, to="1")["steps"]


class TestWhoAnswersTheHealthCheck:
    """Any process of the host may listen where the unit does not yet."""

    def say_group(self, host: Models, group: str) -> dict[str, Any]:
        """Let systemd tell of a control group; the arguments of the step."""
        real = host.world.run

        def run(argv: Sequence[str], *args: Any, **named: Any) -> Ran:
            if argv[0] == "systemctl" and "show" in argv:
                return Ran(0, f"Id={modelkit.SERVICE}\nControlGroup={group}\n".encode(), b"")
            return real(argv, *args, **named)

        host.world.run = run  # type: ignore[method-assign]
        url = f"http://127.0.0.1:{host.world.port}/"
        return {"url": url, "expect": 200, "seconds": 1, "service": modelkit.SERVICE}

    def test_a_process_of_the_unit_may(self, serving: Models) -> None:
        assert serving.world.server is not None
        found = procs.find(serving.world.server.pid, serving.world)
        assert found is not None
        args = self.say_group(serving, found.cgroup)
        assert "healthy_after_ms" in step("health").do(args, {}, serving.world)

    def test_another_process_may_not(self, serving: Models) -> None:
        args = self.say_group(serving, "/system.slice/not-this.service")
        with pytest.raises(StepFailed, match=r"listens there, and it is none of model\.service"):
            step("health").do(args, {}, serving.world)
        assert "healthy_after_ms" in step("health").do({**args, "service": ""}, {}, serving.world)

    def test_the_plan_names_the_unit_of_a_link_alone(self, serving: Models) -> None:
        for kind, name in (("link", modelkit.SERVICE), ("image", "")):
            facts = {
                "files": 1, "from": "2", "image": "r/x@sha256:" + "a" * 64, "manifest": "0" * 64,
                "root": "/srv/models", "served": True, "signer": "carol", "size": 1, "than": "2",
            }  # fmt: skip
            health = {MODEL: {**serving.policy["health"][MODEL], "kind": kind}}
            policy = {**serving.policy, "health": health}
            plan = action("rollback-model").render({"model": MODEL, "to": "1"}, facts, policy)
            assert plan["steps"][3]["args"]["service"] == name
