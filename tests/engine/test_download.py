"""One file from a hub on the loopback: whole, resumed, through faults that pass, on disks that fill up."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from tests.engine.downloads import (
    BRISK,
    HASTY,
    NAME,
    REPO,
    SIZE,
    contents,
    files_in,
    hub_with,
    no_proxies,
    run,
    source_of,
    stop_at,
)
from tests.engine.rig import until
from tests.hub.faults import Fault, in_step
from tests.hub.server import TOKEN, FakeHub

from llmchat_engine.errors import DiskUnwritable, HubUnreachable, NotEnoughDisk
from llmchat_engine.models import disk
from llmchat_engine.models.hub.download import download
from llmchat_engine.models.hub.fetching import Fetch
from llmchat_engine.models.hub.parts import NOTE, PART, beside, kept_bytes

KEPT = SIZE // 3


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    no_proxies(monkeypatch)
    with hub_with() as hub:
        yield hub


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / REPO / NAME


def begun(hub: FakeHub, target: Path) -> None:
    """Leaves a part with a third of the file, as a broken connection and a closed program do."""
    hub.faults.content.append(Fault(stall=KEPT))
    work = download(source_of(hub), target, BRISK)
    stop_at(work, KEPT)
    assert beside(target, PART).stat().st_size == KEPT
    hub.requests.clear()


def test_a_file_is_here_whole_private_and_alone(hub: FakeHub, target: Path) -> None:
    seen, done = run(download(source_of(hub), target, BRISK))
    assert target.read_bytes() == contents()
    assert (done.sha256, done.fetched) == (hashlib.sha256(contents()).hexdigest(), SIZE)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700
    assert files_in(target.parent) == [NAME]
    assert {progress.unit for progress in seen} == {"bytes"} and {progress.total for progress in seen} == {SIZE}


def test_the_file_has_its_name_only_when_it_is_whole(hub: FakeHub, target: Path) -> None:
    met: list[bool] = []
    hub.faults.pace = lambda asked: met.append(target.exists())
    run(download(source_of(hub), target, BRISK))
    assert met and not any(met)


def test_only_the_rest_is_fetched_and_only_of_the_same_file(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    seen, done = run(download(source_of(hub), target, BRISK))
    (asked,) = hub.asked("content")
    assert (asked.range, asked.if_range, asked.status) == (f"bytes={KEPT}-", f'"{done.sha256}"', 206)
    assert done.fetched == hub.sent == SIZE - KEPT
    assert target.read_bytes() == contents()
    assert seen[0].stage == "checking what is here"


def test_another_etag_begins_anew(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    hub.faults.always = Fault(etag='"another"')
    _, done = run(download(source_of(hub), target, BRISK))
    assert [asked.status for asked in hub.asked("content")] == [200]
    assert done.fetched == SIZE and target.read_bytes() == contents()


def test_an_etag_that_changes_although_only_the_rest_came_begins_anew(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    path = beside(target, NOTE)
    path.write_bytes(path.read_bytes().replace(b'\\"', b'\\"old-', 1))
    hub.faults.always = Fault(keep_range=True)
    run(download(source_of(hub), target, BRISK))
    assert [asked.status for asked in hub.asked("content")] == [206, 200]
    assert target.read_bytes() == contents()


def test_without_etags_the_sha256_tells_whether_the_rest_fits(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(no_etag=True)
    hub.faults.content.append(Fault(no_etag=True, cut=KEPT))
    _, done = run(download(source_of(hub), target, BRISK))
    assert [(asked.range, asked.if_range) for asked in hub.asked("content")] == [("", ""), (f"bytes={KEPT}-", "")]
    assert done.fetched == SIZE and target.read_bytes() == contents()


def test_a_weak_etag_is_no_promise(hub: FakeHub, target: Path) -> None:
    hub.faults.always = Fault(etag='W/"weak"')
    hub.faults.content.append(Fault(etag='W/"weak"', cut=KEPT))
    run(download(source_of(hub), target, BRISK))
    assert [asked.if_range for asked in hub.asked("content")] == ["", ""]


def test_a_part_of_another_version_is_dropped(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    hub.add(REPO, {NAME: contents(seed=1)})
    _, done = run(download(source_of(hub), target, BRISK))
    assert done.fetched == SIZE and target.read_bytes() == contents(seed=1)


def test_a_part_whose_bytes_changed_costs_one_more_download(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    with open(beside(target, PART), "r+b") as file:
        file.write(b"spoiled")
    _, done = run(download(source_of(hub), target, BRISK))
    assert done.fetched == 2 * SIZE - KEPT and target.read_bytes() == contents()


def test_a_whole_part_needs_no_network(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    beside(target, PART).write_bytes(contents())
    _, done = run(download(source_of(hub), target, BRISK))
    assert done.fetched == 0 and hub.requests == [] and target.read_bytes() == contents()


def test_a_file_that_git_keeps_comes_from_the_hub_itself(hub: FakeHub, tmp_path: Path) -> None:
    hub.add(REPO, {"config.json": b"{}" * 1000})
    hub.faults.content.append(Fault(cut=100))
    _, done = run(download(source_of(hub, "config.json", TOKEN), tmp_path / "config.json", BRISK))
    assert (tmp_path / "config.json").read_bytes() == b"{}" * 1000
    assert done.sha256 == hashlib.sha256(b"{}" * 1000).hexdigest()
    assert [asked.authorization for asked in hub.requests] == [f"Bearer {TOKEN}"] * 2


def test_a_whole_part_that_nothing_vouches_for_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.add(REPO, {"config.json": b"{}"})
    path = tmp_path / "config.json"
    beside(path, PART).write_bytes(b"[]")
    beside(path, NOTE).write_text('{"size": 2, "sha256": "", "etag": ""}')
    run(download(source_of(hub, "config.json"), path, BRISK))
    assert path.read_bytes() == b"{}"


def test_an_empty_file_is_made(hub: FakeHub, tmp_path: Path) -> None:
    run(download(replace(source_of(hub), size=0, sha256=""), tmp_path / "empty", BRISK))
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_server_without_ranges_takes_nothing_away(hub: FakeHub, target: Path) -> None:
    begun(hub, target)
    hub.faults.always = Fault(ignore_range=True, cut=KEPT // 2)
    with pytest.raises(HubUnreachable, match="the connection"):
        run(download(source_of(hub), target, BRISK))
    assert contents()[:KEPT] == beside(target, PART).read_bytes()
    hub.faults.always = Fault(ignore_range=True)
    _, done = run(download(source_of(hub), target, BRISK))
    assert done.fetched == SIZE and target.read_bytes() == contents()


ONCE = {
    "the connection breaks": [Fault(cut=KEPT)],
    "and again before a byte came": [Fault(cut=KEPT), Fault(cut=0), Fault(cut=0)],
    "the server fails": [Fault(status=500), Fault(status=503), Fault(status=502)],
    "too much was asked": [Fault(status=429, retry_after="0")],
    "it was too slow": [Fault(status=408)],
    "wrong bytes": [Fault(wrong_at=SIZE // 2)],
    "wrong bytes, then breaks": [Fault(wrong_at=1, cut=KEPT), Fault(cut=KEPT), Fault(cut=KEPT), Fault(cut=KEPT)],
    "a short file": [Fault(short=10)],
    "a short rest": [Fault(cut=KEPT), Fault(short=10)],
    "the range is ignored": [Fault(cut=KEPT), Fault(ignore_range=True)],
    "another range": [Fault(cut=KEPT), Fault(shift=7)],
    "the link expired": [Fault(status=403)],
    "the rest is not there": [Fault(cut=KEPT), Fault(status=416)],
}


@pytest.mark.parametrize("faults", ONCE.values(), ids=ONCE)
def test_what_goes_wrong_for_a_while_is_survived(hub: FakeHub, target: Path, faults: list[Fault]) -> None:
    hub.faults.content.extend(faults)
    run(download(source_of(hub), target, BRISK))
    assert target.read_bytes() == contents()
    assert not hub.faults.content
    assert files_in(target.parent) == [NAME]


def test_a_stalled_line_is_told_of(hub: FakeHub, target: Path) -> None:
    hub.faults.content.append(Fault(stall=KEPT))
    work = download(source_of(hub), target, replace(BRISK, stall=600.0))
    told = list(islice((progress for progress in work if progress.done == KEPT), 3))
    assert [progress.stage for progress in told] == ["downloading"] * 3
    work.close()


def test_a_stalled_line_is_left(hub: FakeHub, target: Path) -> None:
    hub.faults.content.append(Fault(stall=KEPT))
    _, done = run(download(source_of(hub), target, HASTY))
    assert done.fetched == SIZE and target.read_bytes() == contents()


def test_silence_before_the_headers_is_left_too(hub: FakeHub, target: Path) -> None:
    hub.faults.resolve.append(Fault(stall=-1))
    hub.faults.content.append(Fault(stall=-1))
    run(download(source_of(hub), target, HASTY))
    assert target.read_bytes() == contents()


def test_a_line_that_drips_is_left(hub: FakeHub, target: Path) -> None:
    hub.faults.piece = 100
    hub.faults.content.append(Fault(throttle=2000))
    run(download(source_of(hub), target, replace(HASTY, stall=0.2)))
    assert len(hub.asked("content")) > 1
    assert target.read_bytes() == contents()


def test_a_server_that_asks_for_time_gets_it(hub: FakeHub, target: Path) -> None:
    hub.faults.content.append(Fault(status=429, retry_after="1"))
    began = time.monotonic()
    seen, _ = run(download(source_of(hub), target, BRISK))
    assert time.monotonic() - began >= 1.0
    assert "waiting to try again" in {progress.stage for progress in seen}


def test_tries_that_bring_something_are_not_counted(hub: FakeHub, target: Path) -> None:
    hub.faults.piece = 1000
    hub.faults.content.extend([Fault(cut=SIZE // 20)] * 15)
    _, done = run(download(source_of(hub), target, BRISK))
    assert done.fetched == SIZE and target.read_bytes() == contents()


def test_a_stopped_download_keeps_what_came_and_leaves_no_thread(hub: FakeHub, target: Path) -> None:
    hub.faults.content.append(Fault(stall=KEPT))
    work = download(source_of(hub), target, BRISK)
    stop_at(work, KEPT)
    assert until(lambda: "download" not in {thread.name for thread in threading.enumerate()}, 60)
    assert kept_bytes(target, SIZE, hashlib.sha256(contents()).hexdigest()) == KEPT
    assert not target.exists()


def test_a_stop_keeps_what_waits_for_the_disk_too(hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Fetch] = []

    class Watched(Fetch):
        def __init__(self, url: str, headers: Mapping[str, str], seconds: float) -> None:
            super().__init__(url, headers, seconds)
            made.append(self)

    monkeypatch.setattr("llmchat_engine.models.hub.download.Fetch", Watched)
    hub.faults.content.append(Fault(stall=KEPT))
    work = download(source_of(hub), target, replace(BRISK, tick=60))
    next(work)  # at the answer's headers: nothing is told before, and no byte is taken
    assert beside(target, PART).stat().st_size == 0
    assert until(made[0]._heard.qsize, 60)
    work.close()
    assert beside(target, PART).stat().st_size > 0
    assert contents().startswith(beside(target, PART).read_bytes())


def test_every_byte_is_on_its_way_to_the_disk_at_once(hub: FakeHub, target: Path) -> None:
    """The server sends a piece only when all before it are in the part: a program that keeps some would stand still."""
    hub.faults.piece = 10_000
    hub.faults.pace = in_step(beside(target, PART))
    run(download(source_of(hub), target, BRISK))
    assert target.read_bytes() == contents()


class Disk:
    """What statvfs says: so many bytes are free."""

    f_frsize = 1

    def __init__(self, free: int) -> None:
        self.f_bavail = free


def test_too_small_a_disk_is_refused_before_the_first_byte(
    hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: Disk(SIZE + disk.MARGIN - 1))
    with pytest.raises(NotEnoughDisk, match=r"300\.0 kB are missing and 1\.1 GB stay free .* 1 bytes too few"):
        run(download(source_of(hub), target, BRISK))
    assert hub.requests == [] and files_in(target.parent) == []


def test_only_the_rest_must_fit(hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(hub, target)
    monkeypatch.setattr(os, "statvfs", lambda path: Disk(SIZE - KEPT + disk.MARGIN))
    run(download(source_of(hub), target, BRISK))
    assert target.read_bytes() == contents()


def test_a_disk_that_fills_up_keeps_what_came(hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite

    def small_disk(descriptor: int, data: memoryview, offset: int) -> int:
        if offset >= KEPT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: KEPT - offset], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", small_disk)
        with pytest.raises(NotEnoughDisk, match=r"the disk became full.*; what is there is kept"):
            run(download(source_of(hub), target, BRISK))
    _, done = run(download(source_of(hub), target, BRISK))
    assert done.fetched == SIZE - KEPT and target.read_bytes() == contents()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(hub: FakeHub, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DiskUnwritable, match="this user may not write there"):
        run(download(source_of(hub), tmp_path / "a" / NAME, BRISK))
    tmp_path.chmod(0o700)


def test_nothing_is_written_through_a_link(hub: FakeHub, target: Path) -> None:
    target.parent.mkdir(parents=True)
    elsewhere = target.parent / "elsewhere"
    elsewhere.write_bytes(b"mine")
    beside(target, PART).symlink_to(elsewhere)
    with pytest.raises(DiskUnwritable, match="a link stands in its place"):
        run(download(source_of(hub), target, BRISK))
    assert elsewhere.read_bytes() == b"mine" and hub.requests == []
