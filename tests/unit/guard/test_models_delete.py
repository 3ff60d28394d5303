"""secure-delete: what it refuses, what is gone afterwards, and what it says is left."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.actions import action
from console.hostside.guard.model.folders import plain
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.steps.base import StepFailed
from tests.support.guardkit import refused
from tests.support.modelkit import MODEL, ROOT, Killed, Models, Run

OLD = f"{ROOT}/{MODEL}/versions/1"
WEIGHTS = b"secret weights " * 200_000

HOLD = """
import mmap, os, sys
how, path = sys.argv[1:]
if how == "inside":
    os.chdir(path)
else:
    file = open(path, "rb")
    if how == "mapped":
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        file.close()
    if how == "deleted":
        os.unlink(path)
print("holding", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host() -> Iterator[Models]:
    """Version 1 may go, version 2 is served. In memory: no disk of this machine is trimmed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = Models(Path(folder) / "host")
        found.version("1", WEIGHTS)
        found.version("2", b"two")
        found.link("2")
        yield found
        found.world.stop()


def named(host: Models, path: str, kind: str = "tree") -> dict[str, Any]:
    """Parameters for ``path`` as it is now."""
    status = os.lstat(host.world.path(path))
    return {"path": path, "device": status.st_dev, "inode": status.st_ino, "kind": kind}


def destroy(host: Models, path: str, kind: str = "tree") -> Run:
    """A run of the plan for ``path``."""
    return Run(host.plan("secure-delete", **named(host, path, kind)), host.world)


class Holder:
    """A process that holds a file in one way."""

    def __init__(self, how: str, path: Path) -> None:
        argv = [sys.executable, "-I", "-c", HOLD, how, str(path)]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )

    def __enter__(self) -> int:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "holding\n"
        return self.process.pid

    def __exit__(self, *exc: object) -> None:
        self.process.communicate("")


def test_a_tree_is_gone_and_its_neighbours_are_not(host: Models) -> None:
    run = destroy(host, OLD)
    assert run.go() == ""
    assert sorted(os.listdir(host.folder("1").parent)) == ["2"]
    assert run.result["files"] == 4
    assert run.result["bytes"] > len(WEIGHTS)
    assert host.world.told[-1][2] == "bytes overwritten"
    assert host.world.told[-1][0] == host.world.told[-1][1]


def test_every_byte_was_overwritten_before_the_name_went(host: Models) -> None:
    with (host.folder("1") / "weights.bin").open("rb") as file:
        seen = b""

        def look(point: str) -> None:
            nonlocal seen
            if point == "destroy.written" and not seen.startswith(b"no"):
                data = os.pread(file.fileno(), 1 << 24, 0)
                if len(data) == len(WEIGHTS) and data != WEIGHTS:
                    seen = data

        run = destroy(host, OLD)
        host.world.on_mark = look
        assert run.go() == ""  # this process is the guard: its own handles do not count
        assert len(seen) == len(WEIGHTS)
        assert b"secret" not in seen
        assert os.fstat(file.fileno()).st_nlink == 0
        assert os.fstat(file.fileno()).st_blocks == 0


def test_one_file_is_destroyed_alone(host: Models) -> None:
    assert destroy(host, f"{OLD}/weights.bin", "file").go() == ""
    assert sorted(os.listdir(host.folder("1"))) == [
        "MANIFEST.json", "MANIFEST.json.sig", "tokenizer",
    ]  # fmt: skip


def test_holes_stay_holes(host: Models) -> None:
    path = host.folder("1") / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 30)
        file.write(b"data")
    run = destroy(host, f"{OLD}/sparse", "file")
    assert run.go() == ""
    assert 4 <= run.result["bytes"] <= 1 << 21


@pytest.mark.parametrize(
    "path",
    [
        "srv/models/llama", "/srv/models/llama/../llama/versions/1", "/srv/models//llama",
        "/srv/models/./llama", "/srv/models/llama/", "/srv/models/a\nb", "/" + "a" * 1100, "/",
    ],
)  # fmt: skip
def test_a_path_that_names_more_than_one_place_is_refused(host: Models, path: str) -> None:
    """Threats: 89."""
    params = {"path": path, "device": 1, "inode": 1, "kind": "tree"}
    assert refused(action("secure-delete").check, params).rule == "path"


@pytest.mark.parametrize("path", ["/etc/passwd", "/srv", "/srv/modelsx/a", "/srv/models"])
def test_what_policy_does_not_declare_is_refused(host: Models, path: str) -> None:
    """Threats: 89."""
    (host.base / "etc/passwd").write_text("")
    (host.base / "srv/modelsx/a").mkdir(parents=True)
    kind = "file" if path.endswith("passwd") else "tree"
    assert refused(host.plan, "secure-delete", **named(host, path, kind)).rule in (
        "policy", "running",
    )  # fmt: skip


def test_no_link_is_followed_at_any_component(host: Models) -> None:
    """Threats: 89."""
    outside = host.base / "outside"
    (outside / "versions/1").mkdir(parents=True)
    (host.base / "srv/models/other").symlink_to(outside)
    path = f"{ROOT}/other/versions/1"
    params = named(host, path)
    assert refused(host.plan, "secure-delete", **params).rule in ("path", "model")
    (host.folder("1") / "link").symlink_to(outside)
    assert refused(host.plan, "secure-delete", **named(host, f"{OLD}/link")).rule == "path"
    assert destroy(host, OLD).go() == ""  # inside a tree, the link goes and what it names stays
    assert (outside / "versions/1").is_dir()


def test_another_inode_than_the_one_named_is_refused(host: Models) -> None:
    """Threats: 89."""
    params = named(host, OLD)
    host.folder("1").rename(host.folder("old"))
    shutil.copytree(host.folder("old"), host.folder("1"))
    assert "another file than was named" in refused(host.plan, "secure-delete", **params).words


def test_a_folder_put_in_its_place_after_the_signatures_is_not_touched(host: Models) -> None:
    """Threats: 89."""
    run = destroy(host, OLD)
    host.folder("1").rename(host.folder("old"))
    shutil.copytree(host.folder("old"), host.folder("1"))
    assert "not what was signed for" in run.go()
    assert (host.folder("1") / "weights.bin").read_bytes() == WEIGHTS


def test_a_file_added_after_the_signatures_stops_it(host: Models) -> None:
    """Threats: 89."""
    run = destroy(host, OLD)
    (host.folder("1") / "more").write_bytes(b"x")
    assert "has changed since this was signed" in run.go()
    assert (host.folder("1") / "weights.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "path",
    [f"{ROOT}/{MODEL}/versions/2", f"{ROOT}/{MODEL}", f"{ROOT}/{MODEL}/versions/2/weights.bin"],
)
def test_the_version_that_is_served_is_refused(host: Models, path: str) -> None:
    """Threats: 89."""
    kind = "file" if path.endswith(".bin") else "tree"
    assert refused(host.plan, "secure-delete", **named(host, path, kind)).rule == "running"


def test_a_version_served_since_the_signatures_is_not_touched(host: Models) -> None:
    """Threats: 89."""
    run = destroy(host, OLD)
    (host.base / f"srv/models/{MODEL}/current").unlink()
    host.link("1")
    assert "that is served" in run.go()
    assert (host.folder("1") / "weights.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize("how", ["open", "mapped", "inside", "deleted"])
def test_what_a_process_holds_is_refused_and_the_process_named(host: Models, how: str) -> None:
    """Threats: 89."""
    path = host.folder("1") / ("tokenizer" if how == "inside" else "weights.bin")
    run = None if how == "deleted" else destroy(host, OLD)
    with Holder(how, path) as pid:
        found = refused(host.preview, "secure-delete", **named(host, OLD))
        assert found.rule == "in-use"
        assert f"process {pid}" in found.words
        assert how in found.words
        if run is not None:
            assert f"process {pid}" in run.go()
            assert (host.folder("1") / "weights.bin").read_bytes() == WEIGHTS
    assert destroy(host, OLD).go() == ""


def test_who_opens_it_at_the_last_moment_stops_it(host: Models) -> None:
    """Threats: 89."""
    run = destroy(host, OLD)
    holders: list[Holder] = []
    rename = os.rename

    def open_it(*args: Any, **named: Any) -> None:
        rename(*args, **named)
        if not holders and str(args[1]).startswith(".destroying"):
            hidden = host.folder("1").parent / str(args[1])
            holders.append(Holder("open", hidden / "weights.bin"))
            holders[0].__enter__()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", open_it)
        assert "in use" in run.go()
    holders[0].__exit__()
    assert (host.folder("1") / "weights.bin").read_bytes() == WEIGHTS


def test_a_mount_inside_or_over_it_is_refused(host: Models) -> None:
    """Threats: 89."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    inside = host.folder("1") / "tokenizer"
    run = destroy(host, OLD)
    for target in (inside, inside / "vocab.txt"):
        source = host.base / ("srv" if target.is_dir() else "etc/watchfloor/policy.json")
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
        try:
            assert refused(host.plan, "secure-delete", **named(host, OLD)).rule == "mount"
            assert "is a mount point" in run.go()
        finally:
            subprocess.run(["umount", str(target)], check=True)
    subprocess.run(["mount", "--bind", str(host.base / "srv"), str(host.folder("1"))], check=True)
    try:
        assert refused(host.plan, "secure-delete", **named(host, OLD)).rule == "mount"
    finally:
        subprocess.run(["umount", str(host.folder("1"))], check=True)
    assert (inside / "vocab.txt").read_bytes() == b"a b c\n"


def test_what_a_container_was_given_is_refused(host: Models) -> None:
    """Threats: 89."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    script = 'mount --bind "$1" "$2" && echo ready && read _'
    point = host.base / "given"
    point.mkdir()
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    process = subprocess.Popen(
        [*argv, str(host.folder("1")), str(point)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, cwd="/",
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        found = refused(host.preview, "secure-delete", **named(host, OLD))
        assert "mounted" in found.words
        assert "given" in found.words
    finally:
        process.communicate("\n")


def test_a_device_file_is_refused(host: Models) -> None:
    """Threats: 89."""
    if os.geteuid() != 0:
        pytest.skip("device files need root")
    os.mknod(host.folder("1") / "null", 0o20666, os.makedev(1, 3))
    assert "device file" in refused(host.plan, "secure-delete", **named(host, OLD)).words


def test_other_names_of_the_same_file_are_signed_for_and_go_too(host: Models) -> None:
    other = host.base / f"srv/models/{MODEL}/shared.bin"
    other.hardlink_to(host.folder("1") / "weights.bin")
    plan = host.plan("secure-delete", **named(host, OLD))
    assert plan["steps"][0]["args"]["also"] == [f"{ROOT}/{MODEL}/shared.bin"]
    said = host.preview("secure-delete", **named(host, OLD))
    assert any("also called /srv/models/llama/shared.bin" in line for line in said["effect"])
    assert Run(plan, host.world).go() == ""
    assert not other.exists()


def test_a_name_made_after_the_signatures_stops_it(host: Models) -> None:
    run = destroy(host, OLD)
    (host.base / "srv/models/new.bin").hardlink_to(host.folder("1") / "weights.bin")
    assert "names that were not signed for" in run.go()
    assert (host.base / "srv/models/new.bin").read_bytes() == WEIGHTS


def test_a_name_elsewhere_is_refused(host: Models) -> None:
    (host.base / "copy.bin").hardlink_to(host.folder("1") / "weights.bin")
    found = refused(host.plan, "secure-delete", **named(host, OLD))
    assert found.rule == "links"
    assert "1 more names" in found.words


def test_a_file_that_the_served_version_shares_is_refused(host: Models) -> None:
    (host.folder("2") / "same.bin").hardlink_to(host.folder("1") / "weights.bin")
    assert "that is served" in destroy(host, OLD).go()
    assert (host.folder("2") / "same.bin").read_bytes() == WEIGHTS


def test_killed_at_every_point_the_next_run_comes_to_the_end(host: Models) -> None:
    kept = host.folder("kept")
    points = 0
    while True:
        points += 1
        if not host.folder("1").exists():
            host.version("1", b"w" * (3 << 20))
        other = host.base / f"srv/models/{MODEL}/shared.bin"
        other.hardlink_to(host.folder("1") / "weights.bin")
        run = destroy(host, OLD)
        host.world.marks, host.world.kill_at = [], points
        try:
            assert run.go() == ""
            ended = True
        except Killed:
            ended = False
        host.world.kill_at = -1
        assert run.go() == ""
        assert run.go() == ""
        assert os.listdir(host.folder("1").parent) == ["2"]
        assert not other.exists()
        assert not kept.exists()
        if ended:
            break
    assert points > 10


def test_killed_at_every_point_it_is_put_back_whole_or_the_rest_is_named(host: Models) -> None:
    whole = partly = points = 0
    ended = False
    while not ended:
        points += 1
        if not host.folder("1").exists():
            host.version("1", b"w" * (3 << 20))
        run = destroy(host, OLD)
        host.world.marks, host.world.kill_at = [], points
        try:
            assert run.go() == ""
            ended = True
        except Killed:
            pass
        host.world.kill_at = -1
        try:
            run.undo()
            run.undo()
        except StepFailed as failed:
            partly += 1
            rest = str(failed).rpartition(" ")[2]
            params = {"path": OLD, "device": 1, "inode": 1, "kind": "tree"}
            assert rest.rpartition("/")[2] in refused(host.plan, "secure-delete", **params).hint
            assert destroy(host, rest).go() == ""
            run.undo()
            assert os.listdir(host.folder("1").parent) == ["2"]
        else:
            if host.folder("1").exists():
                whole += 1
                assert os.listdir(host.folder("1").parent) in (["1", "2"], ["2", "1"])
                check = host.folder("1") / "weights.bin"
                assert check.stat().st_size in (len(WEIGHTS), 3 << 20)
                assert set(check.read_bytes()) <= set(b"secret weights w")
    assert whole >= 1
    assert partly >= 8


def test_the_preview_says_in_capitals_that_there_is_no_way_back(host: Models) -> None:
    said = host.preview("secure-delete", **named(host, OLD))
    assert said["effect"][-1] == "THIS CANNOT BE UNDONE. THERE IS NO INVERSE."
    assert any("backups" in line for line in said["remains"])
    assert any("memory only" in line for line in said["remains"])


def test_it_is_of_the_strict_kind() -> None:
    act = action("secure-delete")
    assert (act.direction, act.people, act.starter) == ("destroy", 2, "requester")
    assert act.high_risk
    assert act.inverse == ""
    assert not act.ratify
    assert not act.break_glass
    assert act.dead_man == "none"


CRYPTSETUP = shutil.which("cryptsetup", path="/usr/sbin:/sbin:/usr/bin")
FAST = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]


class Volume:
    """A LUKS header in a file, and a mount that stands for the volume: no device mapper is needed
    to see what is erased when."""

    def __init__(self, host: Models, kind: str) -> None:
        self.host = host
        self.image = host.base / "volume.img"
        with self.image.open("wb") as file:
            file.truncate(32 << 20)
        self.key = host.base / "key"
        self.key.write_bytes(b"passphrase")
        self.run("--batch-mode", "luksFormat", "--type", kind, *FAST, "--key-file", str(self.key))
        self.uuid = self.run("luksUUID").strip()
        self.point = host.base / "srv/models/volume"
        self.point.mkdir()
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "none", str(self.point)], check=True)
        status = self.point.stat()
        self.args = {
            "how": "crypto", "path": f"{ROOT}/volume", "root": ROOT, "device": status.st_dev,
            "inode": status.st_ino, "header": str(self.image), "uuid": self.uuid, "mapping": "",
        }  # fmt: skip

    def run(self, *argv: str, check: bool = True) -> str:
        """cryptsetup on the header."""
        assert CRYPTSETUP is not None
        done = subprocess.run(
            [CRYPTSETUP, *argv, str(self.image)], check=check, capture_output=True, text=True
        )
        return done.stdout if done.returncode == 0 else "failed"

    def opens(self) -> bool:
        """Whether the passphrase still opens it."""
        argv = ("open", "--test-passphrase", "--key-file", str(self.key))
        return self.run(*argv, check=False) != "failed"

    def destroy(self, **changes: Any) -> str:
        """Carry the step out; why it failed."""
        args = {**self.args, **changes}
        step("destroy").check(args)
        return Run({"steps": [{"kind": "destroy", "args": args}]}, self.host.world).go()

    def end(self) -> None:
        """Unmount what is still mounted."""
        subprocess.run(["umount", str(self.point)], check=False, capture_output=True)


@pytest.fixture(params=["luks1", "luks2"])
def volume(host: Models, request: pytest.FixtureRequest) -> Iterator[Volume]:
    if CRYPTSETUP is None:
        pytest.skip("needs cryptsetup (Debian: cryptsetup-bin)")
    made = Volume(host, request.param)
    yield made
    made.end()


def test_the_keys_of_a_luks_volume_are_erased(volume: Volume) -> None:
    assert volume.opens()
    assert volume.destroy() == ""
    assert not volume.opens()
    assert not os.path.ismount(volume.point)
    assert step("destroy").holds(volume.args, {"there": True}, volume.host.world)
    assert volume.destroy() == ""


def test_another_volume_than_the_one_signed_for_keeps_its_keys(volume: Volume) -> None:
    assert "not the LUKS volume that was signed for" in volume.destroy(uuid="0" * 36)
    assert volume.opens()


def test_a_volume_in_use_keeps_its_keys(volume: Volume) -> None:
    if not os.path.ismount(volume.point):
        pytest.skip("mounting needs root")
    (volume.point / "weights").write_bytes(b"x")
    with Holder("open", volume.point / "weights"):
        assert "cannot be unmounted" in volume.destroy()
        assert volume.opens()
    assert volume.destroy() == ""


def test_a_mount_that_is_a_luks_volume_is_planned_by_its_keys(volume: Volume) -> None:
    """What the kernel tells of a mapping, as files: this machine may have no device mapper."""
    if not os.path.ismount(volume.point):
        pytest.skip("mounting needs root")
    host = volume.host
    params = named(host, f"{ROOT}/volume")
    assert refused(host.plan, "secure-delete", **params).rule == "mount"
    device = volume.point.stat().st_dev
    (host.base / "sys").unlink()
    block = host.base / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    (block / "dm").mkdir(parents=True)
    (block / "slaves/sdz9").mkdir(parents=True)
    (block / "dm/name").write_text("models\n")
    (block / "dm/uuid").write_text(f"CRYPT-LUKS2-{volume.uuid.replace('-', '')}-models\n")
    (only,) = host.plan("secure-delete", **params)["steps"]
    assert only["args"]["how"] == "crypto"
    assert only["args"]["header"] == "/dev/sdz9"
    assert only["args"]["uuid"] == volume.uuid
    said = host.preview("secure-delete", **params)
    assert "ALL that lies in" in said["effect"][0]
    assert said["effect"][-1] == "THIS CANNOT BE UNDONE. THERE IS NO INVERSE."


@given(st.text(alphabet="/.a\n \u202e", max_size=30))
def test_a_path_is_taken_as_it_is_or_not_at_all(text: str) -> None:
    """Threats: 89."""
    try:
        path = plain(text)
    except Refused:
        return
    assert path == text == os.path.normpath(text)
    assert path.isprintable()


def test_mapped_memory_of_this_test_is_not_mistaken(host: Models) -> None:
    """The guard's own handles and maps do not count as somebody else's."""
    with (host.folder("1") / "weights.bin").open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        host.preview("secure-delete", **named(host, OLD))
        held.close()


def meanwhile(host: Models, do: Callable[[Path], None]) -> Run:
    """A run during which the model's own account, which owns the folders, does something."""
    run = destroy(host, OLD)
    inode = os.stat(host.world.path(OLD)).st_ino

    def on(point: str) -> None:
        if point == "destroy.begun":
            do(host.folder("1").parent / f".destroying-{inode}.begun")

    host.world.on_mark = on
    return run


def test_a_file_taken_out_meanwhile_is_said_to_be_left(host: Models) -> None:
    """No success is reported of what is somewhere else, whole. Threats: 89."""
    saved = host.folder("2") / "saved.bin"
    run = meanwhile(host, lambda begun: os.rename(begun / "weights.bin", saved))
    assert run.go() == ""
    assert saved.read_bytes() == WEIGHTS
    assert run.result["left"].startswith("A PART IS LEFT: 1 files were taken out")
    assert run.result["remains"][0] == run.result["left"]


def test_a_file_put_in_meanwhile_is_not_overwritten(host: Models) -> None:
    """A link to somebody else's file is no part of what was signed. Threats: 89, 90."""
    secret = host.base / "secret"
    secret.write_bytes(b"root:hash\n" * 100)

    def put(begun: Path) -> None:
        os.link(secret, begun / "tokenizer/zz")
        (begun / "more").mkdir()

    run = meanwhile(host, put)
    with pytest.raises(StepFailed, match="a part of") as failed:
        run.go()
    assert "2 entries were put into it" in str(failed.value.__context__)
    assert secret.read_bytes() == b"root:hash\n" * 100
    assert not list(host.folder("1").parent.glob(".destroying*/weights.bin"))


def test_a_link_put_in_after_the_check_and_before_the_new_name_is_refused(host: Models) -> None:
    """The scan that decides what is destroyed is held against the signatures too."""
    secret = host.base / "secret"
    secret.write_bytes(b"root:hash\n" * 100)
    run = destroy(host, OLD)
    inode = os.stat(host.world.path(OLD)).st_ino

    def on(point: str) -> None:
        if point == "destroy.hidden":
            os.link(secret, host.folder("1").parent / f".destroying-{inode}/zz")

    host.world.on_mark = on
    assert "has changed since this was signed" in run.go()
    assert secret.read_bytes() == b"root:hash\n" * 100
    assert (host.folder("1") / "weights.bin").read_bytes() == WEIGHTS
