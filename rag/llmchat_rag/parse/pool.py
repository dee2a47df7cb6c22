"""Files in, parsed or refused, through a few processes that can be killed: one bad file costs that file.

Knows no formats: the libraries that parse are loaded in the processes alone. Used from one thread.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from llmchat_rag.parse.process import ParserProcess
from llmchat_rag.reading import MAX_BYTES
from llmchat_rag.types import Found, Parsed, Refused

WORKERS = 1
"""One keeps ahead of an embedder that uses all cores: it reads the next file while the last one is embedded."""
SECONDS = 30.0
MEMORY = 400 << 20
"""Beside a parent with torch, 1,040 MB while it exports a model, 1.5 GiB hold; a text of 50 MB takes 330 MB."""


class ParserPool:
    """Parser processes, each started when there is a file for it, and ended with the pool."""

    def __init__(
        self,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Starts nothing yet.

        Args:
            workers: how many files are parsed at once.
            seconds: how long a file may take.
            memory: bytes of address space of a process.
            max_bytes: larger files are refused.
        """
        self._workers = workers
        self._seconds = seconds
        self._memory = memory
        self._max_bytes = max_bytes
        self._processes: list[ParserProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all processes, whatever they do."""
        while self._processes:
            self._processes.pop().kill()

    def parse_all(self, files: Iterable[Found]) -> Iterator[tuple[Found, Parsed | Refused]]:
        """Yields what became of each file, in the order in which they are done.

        Files are taken from the iterable only when a process is free. A generator that is closed early leaves no file
        in a process: those that are busy are ended.

        Raises:
            RagError: no process can be started.
        """
        waiting = iter(files)
        try:
            while self._give_out(waiting):
                done = self._collected()
                self._give_out(waiting)  # before anybody takes seconds over what is done
                yield from done
        finally:
            for process in self._busy():
                self._end(process)

    def _busy(self) -> list[ParserProcess]:
        return [process for process in self._processes if process.file is not None]

    def _give_out(self, waiting: Iterator[Found]) -> bool:
        """Gives each free process a file; False where nothing is under way any more."""
        while len(busy := self._busy()) < self._workers and (found := next(waiting, None)) is not None:
            if len(busy) == len(self._processes):
                self._processes.append(ParserProcess(self._memory))
            free = next(process for process in self._processes if process.file is None)
            free.send(found, self._max_bytes, self._seconds)
        return bool(self._busy())

    def _collected(self) -> list[tuple[Found, Parsed | Refused]]:
        """Waits until a process says something or is out of time, and returns what is done.

        All of them at once: between two that are handed out, minutes may pass, and what is said here would be old.
        """
        done: list[tuple[Found, Parsed | Refused]] = []
        busy = self._busy()
        ready, _, _ = select.select(busy, [], [], max(0.0, min(process.remaining() for process in busy)))
        for process in busy:
            found = process.file
            if found is None:
                continue
            if process in ready:
                if (answer := process.receive()) is None:
                    continue
                outcome, usable = answer
                process.file = None
                if not usable:
                    self._end(process)
                done.append((found, outcome))
            elif process.remaining() <= 0:
                self._end(process)
                done.append((found, Refused(f"its parser ran out of time ({self._seconds:g} s)")))
        return done

    def _end(self, process: ParserProcess) -> None:
        self._processes.remove(process)
        process.kill()
