"""Files of a repository in our own directory: each once, recorded, and never outside of it, whatever their names."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.engine import pulling
from tests.engine.downloads import (
    BRISK,
    NAME,
    REPO,
    SIZE,
    contents,
    door_of,
    environ_of,
    files_in,
    hub_with,
    no_proxies,
    repo_of,
    run,
    stop_at,
)
from tests.hub.faults import Asked, Fault
from tests.hub.server import TOKEN, FakeHub

from llmchat_engine.errors import DiskUnwritable, DownloadBroken, EngineError, HubError, HubForbidden, NotEnoughDisk
from llmchat_engine.models import disk
from llmchat_engine.models.file_lock import try_lock
from llmchat_engine.models.hub.parts import LOCK, PART, beside
from llmchat_engine.models.hub.pull import Pulled, pull, resume_state, target_path
from llmchat_engine.models.hub.pulled import RECORDS, record_of, records
from llmchat_engine.models.hub.types import HubFile, HubRepo
from llmchat_engine.models.progress import Progress

KEPT = SIZE // 3
SPLIT = {f"big-Q4_K_M-{part:05}-of-00003.gguf": contents(50_000, part) for part in (1, 2, 3)}
EMBEDDER = {"config.json": b"{}", "model.safetensors": contents(9_000), "1_Pooling/config.json": b"{}\n"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    no_proxies(monkeypatch)
    with hub_with() as hub:
        yield hub


def pulled(hub: FakeHub, models_dir: Path, token: str = "") -> tuple[list[Progress], Pulled]:
    """Pulls every file of the repository."""
    repo = repo_of(hub, token=token)
    return run(pull(door_of(hub, token), repo, repo.files, models_dir, BRISK))


def test_a_file_lands_where_its_repository_says_and_is_recorded(hub: FakeHub, tmp_path: Path) -> None:
    hub.add(REPO, {NAME: contents()}, licence="mit", base_model="user/model")
    _, got = pulled(hub, tmp_path / "models")
    path = tmp_path / "models" / "user" / "model-GGUF" / NAME
    assert (got.paths, got.fetched, got.waited) == ((path,), SIZE, False)
    assert path.read_bytes() == contents()
    record = record_of(tmp_path / "models", path)
    assert record is not None and record.path == path
    assert (record.repo, record.commit, record.size) == (REPO, hub.repos[REPO].commit, SIZE)
    assert (record.licence, record.base_model) == ("mit", "user/model")
    assert record.sha256 == hashlib.sha256(contents()).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record.pulled_at)
    assert stat.S_IMODE((path.parent / RECORDS).stat().st_mode) == 0o600
    assert files_in(path.parent) == sorted([RECORDS, NAME])


def test_what_is_here_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path)
    hub.requests.clear()
    seen, got = pulled(hub, tmp_path)
    assert (got.fetched, got.waited, seen) == (0, False, [])
    assert {asked.kind for asked in hub.requests} == {"api"}


@pytest.mark.parametrize("files", [SPLIT, EMBEDDER], ids=["split", "embedder"])
def test_several_files_come_one_after_the_other(hub: FakeHub, tmp_path: Path, files: dict[str, bytes]) -> None:
    hub.add(REPO, files, library="sentence-transformers")
    seen, got = pulled(hub, tmp_path)
    assert {path.relative_to(tmp_path / REPO).as_posix(): path.read_bytes() for path in got.paths} == files
    total = sum(map(len, files.values()))
    assert got.fetched == total and len(records(tmp_path)) == len(files)
    assert {progress.total for progress in seen} == {total}
    done = [progress.done for progress in seen]
    assert done == sorted(done) and done[-1] <= total
    _, again = pulled(hub, tmp_path)
    assert again.fetched == 0


def test_a_stopped_pull_goes_on(hub: FakeHub, tmp_path: Path) -> None:
    hub.add(REPO, SPLIT)
    hub.faults.content.extend([Fault(), Fault(stall=20_000)])
    repo = repo_of(hub)
    stop_at(pull(door_of(hub), repo, repo.files, tmp_path, BRISK), 70_000)
    assert resume_state(tmp_path, repo, repo.files) == 70_000
    assert len(records(tmp_path)) == 1
    _, got = pulled(hub, tmp_path)
    assert got.fetched == 80_000
    assert resume_state(tmp_path, repo, repo.files) == 150_000


def test_a_new_version_replaces_the_old_one(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path)
    hub.add(REPO, {NAME: contents(seed=1)})
    _, got = pulled(hub, tmp_path)
    assert got.paths[0].read_bytes() == contents(seed=1)
    (record,) = records(tmp_path)
    assert record.commit == hub.repos[REPO].commit


def test_a_pulled_file_that_was_cut_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    (path,) = pulled(hub, tmp_path)[1].paths
    os.truncate(path, 100)
    assert pulled(hub, tmp_path)[1].fetched == SIZE
    assert path.read_bytes() == contents()


def test_a_killed_program_may_leave_a_file_without_its_record(hub: FakeHub, tmp_path: Path) -> None:
    (path,) = pulled(hub, tmp_path)[1].paths
    (path.parent / RECORDS).unlink()
    _, got = pulled(hub, tmp_path)
    assert got.fetched == 0 and record_of(tmp_path, path) is not None


def test_a_file_of_somebody_else_is_left_alone(hub: FakeHub, tmp_path: Path) -> None:
    path = tmp_path / REPO / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(DiskUnwritable, match="is there already, and llmchat did not pull it"):
        pulled(hub, tmp_path)
    assert path.read_bytes() == b"mine" and files_in(path.parent) == [NAME]


def test_a_link_of_somebody_else_is_left_alone(hub: FakeHub, tmp_path: Path) -> None:
    path = tmp_path / "models" / REPO / NAME
    path.parent.mkdir(parents=True)
    (tmp_path / "mine").write_bytes(contents())
    path.symlink_to(tmp_path / "mine")
    with pytest.raises(DiskUnwritable, match="is there already"):
        pulled(hub, tmp_path / "models")
    assert path.is_symlink() and hub.asked("content") == []


def test_nothing_is_written_through_a_linked_folder(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "user").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskUnwritable, match="is a link, and llmchat writes through none"):
        pulled(hub, tmp_path / "models")
    assert files_in(tmp_path / "elsewhere") == []


def test_the_models_directory_itself_may_be_a_link(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "elsewhere")
    pulled(hub, tmp_path / "models")
    assert (tmp_path / "elsewhere" / REPO / NAME).read_bytes() == contents()


def test_all_files_together_must_fit(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk:
        f_frsize = 1
        f_bavail = disk.MARGIN + 149_999

    hub.add(REPO, SPLIT)
    monkeypatch.setattr(os, "statvfs", lambda path: Disk)
    with pytest.raises(NotEnoughDisk, match=f"not enough disk space to download {REPO}"):
        pulled(hub, tmp_path)
    assert hub.asked("resolve") == [] and files_in(tmp_path) == []


def test_a_refused_pull_leaves_nothing_behind(hub: FakeHub, tmp_path: Path) -> None:
    hub.add(REPO, {NAME: contents()}, gated=True)
    with pytest.raises(HubForbidden, match="gated"):
        pulled(hub, tmp_path)
    hub.tokens.add(TOKEN)
    hub.faults.always = Fault(page=True)
    with pytest.raises(DownloadBroken):
        pulled(hub, tmp_path, TOKEN)
    assert files_in(tmp_path) == []


def test_two_threads_of_one_program_are_two_as_well(hub: FakeHub, tmp_path: Path) -> None:
    waiting, ended = threading.Event(), list[Pulled]()

    def second() -> None:
        repo = repo_of(hub)
        work = pull(door_of(hub), repo, repo.files, tmp_path, BRISK)
        assert next(work).stage == "waiting for another llmchat"
        waiting.set()
        ended.append(run(work)[1])

    thread = threading.Thread(target=second)

    def hold(asked: Asked) -> None:
        if not thread.is_alive() and not ended and not waiting.is_set():
            thread.start()
        assert waiting.wait(60)

    hub.faults.pace = hold
    _, first = pulled(hub, tmp_path)
    thread.join(60)
    assert (first.fetched, first.waited) == (SIZE, False)
    assert [(got.fetched, got.waited, got.paths) for got in ended] == [(0, True, first.paths)]


def test_of_four_processes_one_downloads(hub: FakeHub, tmp_path: Path) -> None:
    all_wait = threading.Event()

    def hold(asked: Asked) -> None:
        assert all_wait.wait(60)

    hub.faults.pace = hold
    children = [pulling.start(tmp_path, REPO, environ_of(hub)) for _ in range(4)]
    first = [child.stdout.readline() for child in children if child.stdout]
    all_wait.set()
    told = [child.communicate(timeout=60) for child in children]
    assert sorted(first) == ["downloading\n"] + ["waiting for another llmchat\n"] * 3, told
    ends = sorted(out.splitlines()[-1] for out, _ in told)
    assert ends == ["done 0 True"] * 3 + [f"done {SIZE} False"], told
    assert hub.sent == SIZE and len(hub.asked("content")) == 1
    assert (tmp_path / REPO / NAME).read_bytes() == contents()
    assert files_in(tmp_path / REPO) == sorted([RECORDS, NAME])


def test_who_waits_takes_over_from_the_dead(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.content.append(Fault(stall=KEPT))
    path = tmp_path / REPO / NAME
    one = pulling.start(tmp_path, REPO, environ_of(hub))
    assert one.stdout and one.stdout.readline() == "downloading\n"
    other = pulling.start(tmp_path, REPO, environ_of(hub))
    assert other.stdout and other.stdout.readline() == "waiting for another llmchat\n"
    while beside(path, PART).stat().st_size < KEPT:
        assert one.poll() is None
        time.sleep(0.005)
    one.kill()
    one.communicate()
    out, err = other.communicate(timeout=60)
    assert out.splitlines()[-1] == f"done {SIZE - KEPT} True", err
    assert path.read_bytes() == contents()


def test_a_lock_whose_file_is_gone_is_no_lock(tmp_path: Path) -> None:
    path = beside(tmp_path / NAME, LOCK)
    first = try_lock(path)
    assert first is not None and try_lock(path) is None
    first.release()
    second = try_lock(path)
    assert second is not None and path.exists()
    second.release()
    assert not path.exists()


HOSTILE = ["../../x", "/etc/passwd", "a\\..\\b", "C:x", "a/../../b", "..", ".", "", "a//b", ".bashrc", "a/.git/config"]
NAMES = st.lists(st.sampled_from(["..", ".", "", "a", "b.gguf", "\\", "C:", "\0", "~", "\u202e", "é", " ", "x" * 300]))


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_name_is_refused(tmp_path: Path, path: str) -> None:
    repo = HubRepo(REPO, "a" * 40, (), "gguf")
    with pytest.raises(HubError, match="could not download"):
        target_path(tmp_path, repo, HubFile(path, 1))
    with pytest.raises(HubError, match="could not download"):
        target_path(tmp_path, HubRepo(path, "a" * 40, (), "gguf"), HubFile("a.gguf", 1))


def test_a_way_that_the_system_does_not_go_is_told(tmp_path: Path) -> None:
    repo = HubRepo(REPO, "a" * 40, (), "gguf")
    file = HubFile("/".join(["a" * 200] * 25) + "/b.gguf", 1)
    with pytest.raises(DiskUnwritable, match=r"its name is too long for this file system"):
        resume_state(tmp_path, repo, [file])


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES.map("/".join), NAMES.map("/".join) | st.just(REPO))
@example("a/b.gguf", REPO)
def test_no_name_leads_out_of_the_directory(tmp_path: Path, path: str, name: str) -> None:
    try:
        target = target_path(tmp_path, HubRepo(name, "a" * 40, (), "gguf"), HubFile(path, 1))
    except EngineError:
        return
    assert target.resolve().is_relative_to(tmp_path.resolve() / name)
    assert len(target.relative_to(tmp_path).parts) >= 3
