"""Downloads one file so that nothing is fetched twice: it goes on where it stopped, and has its name only when whole.

Knows one address, one target and the promised sha256; knows no repository. The connection is fetching.py's, the bytes
on disk are parts.py's, what a refusal means is refusals.py's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmchat_engine.errors import DownloadBroken, HubError, HubUnreachable
from llmchat_engine.models.disk import amount, disk_error, private_folders, require_room
from llmchat_engine.models.hub.errors import Asked
from llmchat_engine.models.hub.fetching import End, Fetch, LineFault, Reply
from llmchat_engine.models.hub.parts import Part
from llmchat_engine.models.hub.refusals import refusal, wrong_body
from llmchat_engine.models.meter import Meter
from llmchat_engine.models.progress import Progress

_TRICKLE = 1024
"""Fewer bytes than these within the limit are a stalled line too: a server that drips would hold it for ever."""
_GO_ON = "look at the network, then pull again: it goes on from here"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download bears with a server. All in seconds but `tries`."""

    stall: float = 30.0
    """Without news from the server."""
    tries: int = 6
    """In a row that brought no byte."""
    first_wait: float = 1.0
    """Before the second try; doubles with each, and is shortened by chance so that many do not come at once."""
    longest_wait: float = 30.0
    longest_asked: float = 300.0
    """A server that asks for more than this is not waited for."""
    tick: float = 0.5
    """Between two signs of life while nothing moves."""


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Source:
    """A file on the hub."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    """For the hub alone: a token may be among them, so no text ever shows them."""
    size: int
    sha256: str
    """Hex; empty where the hub keeps none."""
    name: str
    """For people; text from outside."""
    repo: str = ""
    """As "user/name"."""

    def asked(self, host: str) -> Asked:
        """Returns what is asked for, as sentences about refusals need it."""
        token = self.headers.get("authorization", self.headers.get("Authorization", ""))
        return Asked(host, self.repo, file=self.name, token=token.removeprefix("Bearer "))


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that is here now."""

    sha256: str
    fetched: int
    """Bytes that came over the line."""


def download(source: Source, target: Path, patience: Patience = PATIENCE) -> Generator[Progress, None, Downloaded]:
    """Downloads a file, or the rest of it. Nobody else may be at the same target: see file_lock.py.

    Args:
        source: What and from where.
        target: Where it is put, replacing what is there.
        patience: How long it bears with the server.

    Yields:
        How far it is, at least once a second.

    Returns:
        What is here now: whole, with the promised sha256, and safe from a power cut.

    Raises:
        HubError: The server does not give it, or not as promised. What came is kept where it can be gone on with.
        NotEnoughDisk: It does not fit; what came is kept.
        DiskUnwritable: It cannot be written there.
    """
    what = f"download {source.name}"
    try:
        private_folders(target.parent)
        with contextlib.closing(Part(target, source.size, source.sha256)) as part:
            run = _Run(source, part, patience)
            try:
                require_room(target.parent, source.size - part.here, what)
                yield from run.checked()
                yield from run.filled()
                yield from run.synced()
            finally:
                part.drop_if_empty()
            part.finish()
            return Downloaded(part.digest, run.fetched)
    except OSError as error:
        raise disk_error(error, target, what) from None


class _Again(Exception):
    """This try failed; another one may not."""

    def __init__(self, error: HubError, after: float = 0.0) -> None:
        super().__init__(error.what)
        self.error = error
        self.after = after


class _Run:
    """One download: its tries, and what they brought."""

    def __init__(self, source: Source, part: Part, patience: Patience) -> None:
        self.fetched = 0
        self._source = source
        self._part = part
        self._patience = patience
        self._meter = Meter(source.size, source.name)
        self._what = f"could not download {source.name}"
        self._expired = False
        self._spoiled = False
        self._furthest = part.here
        self._repeated = 0  # bytes still to come that are here already
        self._marked = (0.0, 0)

    def checked(self) -> Generator[Progress, None, None]:
        """Reads what an earlier run left."""
        for done in self._part.reread():
            if self._meter.due():
                yield self._meter.told("checking what is here", done)
        self._meter.restart()

    def filled(self) -> Generator[Progress, None, None]:
        """Tries until every byte is here and right."""
        tries = 0
        while not (self._part.whole and self._intact()):
            try:
                yield from self._one_try()
            except _Again as again:
                # Bytes that were fetched before count for nothing, or a server that always begins anew would never end.
                tries = 0 if self._part.here > self._furthest else tries + 1
                self._expired = self._expired and tries > 0
                self._furthest = max(self._furthest, self._part.here)
                yield from self._waited(again, tries)

    def synced(self) -> Generator[Progress, None, None]:
        """Waits until the disk has it all, with a sign of life now and then."""
        refused: list[OSError] = []

        def sync() -> None:
            try:
                self._part.sync()
            except OSError as error:
                refused.append(error)

        thread = threading.Thread(target=sync, name="sync")
        thread.start()
        try:
            thread.join(self._patience.tick)
            while thread.is_alive():
                yield self._meter.told("writing to the disk", self._part.here)
                thread.join(self._patience.tick)
        finally:
            thread.join()  # the file must not be closed under it
        if refused:
            raise refused[0]

    def _intact(self) -> bool:
        """Returns whether the whole part is as promised; else drops it. A second time it is the server's fault."""
        if self._part.intact:
            return True
        self._part.restart()
        if self._spoiled:
            why = "twice its bytes had not the sha256 that the hub promised; they were removed"
            raise DownloadBroken(self._what, why, "pull again later, or choose another repository")
        self._spoiled = True
        self._furthest = 0
        return False

    def _one_try(self) -> Generator[Progress, None, None]:
        """Asks once for what is missing and takes what comes."""
        line = Fetch(self._source.url, self._asked(), self._patience.stall)
        self._mark()
        try:
            while not isinstance(heard := line.hear(self._patience.tick), End):
                if isinstance(heard, Reply):
                    self._begin(heard)
                    self._mark()
                elif heard is not None:
                    self._take(heard)
                self._refuse_stall()
                if heard is None or self._meter.due():
                    yield self._meter.told("downloading", self._part.here)
        except GeneratorExit:
            self._take_what_waits(line)
            raise
        except LineFault as fault:
            if fault.certain:
                raise fault.error from None
            raise _Again(fault.error) from None
        finally:
            line.close()
        if not self._part.whole:
            why = f"the connection ended after {amount(self._part.here)} of {amount(self._source.size)}"
            raise _Again(HubUnreachable(self._what, why, _GO_ON))

    def _asked(self) -> dict[str, str]:
        """Returns the headers of the next try: where something is here, only the rest, and only of the same file."""
        headers, part = dict(self._source.headers), self._part
        if part.here and not (part.etag or self._source.sha256):
            part.restart()  # nothing would tell whether the rest fits to it
        if part.here:
            headers["Range"] = f"bytes={part.here}-"
            if part.etag:
                headers["If-Range"] = part.etag
        return headers

    def _mark(self) -> None:
        self._marked = (time.monotonic(), self.fetched)

    def _refuse_stall(self) -> None:
        """Ends a try in which nothing, or next to nothing, came for too long."""
        since, before = self._marked
        if self.fetched - before >= _TRICKLE:
            self._mark()
        elif time.monotonic() - since > self._patience.stall:
            why = f"nothing came for {self._patience.stall:.0f} seconds"
            raise _Again(HubUnreachable(self._what, why, _GO_ON))

    def _begin(self, reply: Reply) -> None:
        """Looks at an answer before a byte of it is taken: what is here is only dropped for the file itself."""
        self._refuse(reply)
        told = reply.headers.get("ETag", "")
        etag = told if told.startswith('"') else ""  # a weak one is no promise about bytes
        part = self._part
        if reply.status == 206 and part.etag and etag and etag != part.etag:
            part.restart()
            raise self._broken(reply, "another file than the one that was begun")
        if wrong := wrong_body(reply, part.here, part.size):
            raise self._broken(reply, wrong)
        self._repeated = 0
        if reply.status == 200 and part.sha256 and etag == part.etag:
            self._repeated = (
                part.here
            )  # the same file from a server without ranges: what is here stays, however this ends
        elif reply.status == 200 and part.here:
            part.restart()
        if not part.here or etag:
            part.note(etag)

    def _refuse(self, reply: Reply) -> None:
        refused = refusal(reply, self._source.asked(reply.host))
        if refused is None:
            return
        if reply.status == 416:
            self._part.restart()
        if refused.again or (refused.expired and not self._expired):
            self._expired = refused.expired
            raise _Again(refused.error, refused.after)
        raise refused.error

    def _broken(self, reply: Reply, came: str) -> _Again:
        return _Again(DownloadBroken(self._what, f"{reply.host} sent {came}", _GO_ON))

    def _take(self, piece: bytes) -> None:
        self.fetched += len(piece)
        known = min(self._repeated, len(piece))
        self._repeated -= known
        piece = piece[known:]
        if self._part.here + len(piece) > self._part.size:
            self._part.restart()
            raise _Again(DownloadBroken(self._what, "more bytes came than the hub promised", _GO_ON))
        self._part.append(piece)

    def _take_what_waits(self, line: Fetch) -> None:
        """Keeps what came already where the download is stopped."""
        with contextlib.suppress(OSError, _Again):
            for piece in line.waiting():
                self._take(piece)

    def _waited(self, again: _Again, tries: int) -> Generator[Progress, None, None]:
        """Waits before the next try; raises what was wrong where there is none."""
        patience = self._patience
        if tries >= patience.tries:
            raise again.error from None
        if again.after > patience.longest_asked:
            why = f"{again.error.why}, and asks to wait {again.after / 60:,.0f} minutes"
            raise HubUnreachable(self._what, why, "pull again then: it goes on from here") from None
        pause = min(patience.longest_wait, patience.first_wait * 2 ** max(0, tries - 1))
        ends = time.monotonic() + max(again.after, pause * (0.5 + os.urandom(1)[0] / 512))
        while (left := ends - time.monotonic()) > 0:
            yield self._meter.told("waiting to try again", self._part.here)
            time.sleep(min(patience.tick, left))
