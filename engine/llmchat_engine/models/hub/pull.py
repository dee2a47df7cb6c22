"""Brings files of a repository into the models directory, one after the other, each once however many ask for it.

Knows where files go and who may write there; the bytes are download.py's, the records pulled.py's, the hub client.py's.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from llmchat_engine.errors import DiskUnwritable, HubError
from llmchat_engine.models.disk import disk_error, private_folders, require_room
from llmchat_engine.models.file_lock import FileLock, try_lock
from llmchat_engine.models.hub.download import PATIENCE, Patience, Source, download
from llmchat_engine.models.hub.names import is_repo
from llmchat_engine.models.hub.parts import LOCK, PART, beside, kept_bytes, remove_part
from llmchat_engine.models.hub.pulled import Record, is_safe, keep_record, record_of, remove_empty
from llmchat_engine.models.hub.types import HubFile, HubRepo
from llmchat_engine.models.meter import Meter
from llmchat_engine.models.progress import Progress

_POLL = 0.2
"""Seconds between two looks whether another llmchat has finished."""
_STEP = 1 << 20


class Door(Protocol):
    """What is needed of the hub: client.py's Hub has it."""

    def address(self, repo: HubRepo, file: HubFile) -> str:
        """Returns where a file is, at the repository's commit."""

    def headers(self) -> dict[str, str]:
        """Returns what is sent along, to the hub alone."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """Files that are here now."""

    paths: tuple[Path, ...]
    fetched: int
    """Bytes that came over the line now; 0 where all was here, or another llmchat downloaded it."""
    seconds: float
    waited: bool
    """Whether another llmchat was at it."""


def pull(
    hub: Door, repo: HubRepo, files: Sequence[HubFile], models_dir: Path, patience: Patience = PATIENCE
) -> Generator[Progress, None, Pulled]:
    """Brings files of a repository to models_dir/user/name/path.

    Args:
        hub: Where they come from.
        repo: The repository at one commit.
        files: Which of its files, in order.
        models_dir: Where models are kept; it is made.
        patience: How long it bears with the server.

    Yields:
        How far all of them are together, at least once a second. Closing keeps what came.

    Returns:
        Where they are: whole, with their sha256, and recorded.

    Raises:
        HubError: The hub does not give them, or names that lead out of the directory.
        NotEnoughDisk: They do not fit.
        DiskUnwritable: They cannot be written there, or a link or a file of somebody else stands in their place.
    """
    work = _Pull(hub, repo, tuple(files), models_dir, patience)
    try:
        yield from work.run()
    except OSError as error:
        raise disk_error(error, models_dir, f"download {repo.name}") from None
    finally:
        work.tidy()
    return Pulled(work.targets, work.fetched, time.monotonic() - work.began, work.waited)


def resume_state(models_dir: Path, repo: HubRepo, files: Sequence[HubFile]) -> int:
    """Returns how many bytes of these files are here already, in whole files and in parts.

    Raises:
        HubError: A name leads out of the directory.
        DiskUnwritable: A link stands in the way.
    """
    return sum(_here(models_dir, repo, file, target_path(models_dir, repo, file)) for file in files)


def target_path(models_dir: Path, repo: HubRepo, file: HubFile) -> Path:
    """Returns where a file is put.

    Raises:
        HubError: Its name, or the repository's, leads out of the directory.
        DiskUnwritable: A link stands in the way: nothing is written through one. Or this user may not look there.
    """
    what = f"could not download {file.path}"
    target = models_dir / repo.name / file.path
    if not (is_repo(repo.name) and is_safe(file.path)):
        raise HubError(what, f"{repo.name} has a file whose name may not be written here", "choose another repository")
    try:
        link = _link_above(target, models_dir)
    except OSError as error:
        raise disk_error(error, models_dir, f"download {file.path}") from None
    if link is not None:
        why = f"{link} is a link, and llmchat writes through none inside its models"
        raise DiskUnwritable(what, why, f"remove the link: rm {shlex.quote(str(link))}")
    if not target.parent.resolve().is_relative_to(models_dir.resolve()):
        raise HubError(what, "its name leads out of the models directory", "choose another repository")
    return target


def _link_above(target: Path, models_dir: Path) -> Path | None:
    """Returns a folder of the models directory, on the way to a file, that is a link."""
    folders = (models_dir / folder for folder in target.relative_to(models_dir).parents)
    return next((folder for folder in folders if folder != models_dir and folder.is_symlink()), None)


class _Pull:
    """One pull: its files in order, and what came of them."""

    def __init__(
        self, hub: Door, repo: HubRepo, files: tuple[HubFile, ...], models_dir: Path, patience: Patience
    ) -> None:
        self.began = time.monotonic()
        self.fetched = 0
        self.waited = False
        self.targets = tuple(target_path(models_dir, repo, file) for file in files)
        self._hub = hub
        self._repo = repo
        self._files = files
        self._models_dir = models_dir
        self._patience = patience
        self._total = sum(file.size for file in files)

    def run(self) -> Generator[Progress, None, None]:
        """Brings one file after the other."""
        private_folders(self._models_dir)
        here = sum(_here(self._models_dir, self._repo, *pair) for pair in self._pairs())
        require_room(self._models_dir, self._total - here, f"download {self._repo.name}")
        base = 0
        for file, target in self._pairs():
            for_all = self._one(file, target)
            yield from self._overall(for_all, base)
            base += file.size

    def tidy(self) -> None:
        """Removes the folders of what did not come."""
        for target in self.targets:
            remove_empty(target.parent, self._models_dir)

    def _pairs(self) -> list[tuple[HubFile, Path]]:
        return list(zip(self._files, self.targets, strict=True))

    def _overall(self, work: Generator[Progress, None, None], base: int) -> Generator[Progress, None, None]:
        """Tells one file's progress as that of all of them."""
        try:
            for progress in work:
                yield replace(progress, done=base + progress.done, total=self._total)
        finally:
            work.close()

    def _one(self, file: HubFile, target: Path) -> Generator[Progress, None, None]:
        """Brings one file where it is not here, alone: others who want it wait."""
        lock = yield from self._alone(file, target)
        try:
            if _is_recorded(self._models_dir, self._repo, file, target):
                return
            if os.path.lexists(target) and record_of(self._models_dir, target) is None:
                sha256 = yield from _adopted(file, target)
                remove_part(target)
            else:
                done = yield from download(self._source(file), target, self._patience)
                self.fetched += done.fetched
                sha256 = done.sha256
            self._record(file, target, sha256)
        finally:
            lock.release()

    def _source(self, file: HubFile) -> Source:
        address, headers = self._hub.address(self._repo, file), self._hub.headers()
        return Source(address, headers, file.size, file.sha256, file.path, self._repo.name)

    def _alone(self, file: HubFile, target: Path) -> Generator[Progress, None, FileLock]:
        meter = Meter(file.size, file.path)
        while (lock := try_lock(beside(target, LOCK))) is None:
            self.waited = True
            yield meter.told("waiting for another llmchat", _size(beside(target, PART)))
            time.sleep(_POLL)
        return lock

    def _record(self, file: HubFile, target: Path, sha256: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        repo = self._repo
        record = Record(target, repo.name, repo.commit, sha256, file.size, repo.licence, now, repo.base_model)
        keep_record(self._models_dir / repo.name, record)


def _is_recorded(models_dir: Path, repo: HubRepo, file: HubFile, target: Path) -> bool:
    """Returns whether this very file was pulled and is still there."""
    record = record_of(models_dir, target)
    if record is None or target.is_symlink() or _size(target) != file.size:
        return False
    return record.sha256 == file.sha256 if file.sha256 else record.commit == repo.commit


def _here(models_dir: Path, repo: HubRepo, file: HubFile, target: Path) -> int:
    if _is_recorded(models_dir, repo, file, target):
        return file.size
    return kept_bytes(target, file.size, file.sha256)


def _adopted(file: HubFile, target: Path) -> Generator[Progress, None, str]:
    """Takes the very file without a record for pulled: a kill came between its name and its record."""
    digest, done, meter = hashlib.sha256(), 0, Meter(file.size, file.path)
    if file.sha256 and _size(target) == file.size and not target.is_symlink():
        with open(target, "rb") as stream:
            while piece := stream.read(_STEP):
                digest.update(piece)
                done += len(piece)
                yield meter.told("checking what is here", done)
        if digest.hexdigest() == file.sha256:
            return file.sha256
    why = f"{target} is there already, and llmchat did not pull it"
    raise DiskUnwritable(f"could not download {file.path}", why, f"move it away: mv {shlex.quote(str(target))} …")


def _size(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
