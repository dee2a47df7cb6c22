"""A run: every question in every way, asked of one model after the other, and each reply written down at once.

By way and not by question, so that the examples before the questions stay in the cache. Knows no screen and no signal;
`Run.stop` is safe from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace

from llmchat_engine import ContextFull, Engine, EngineDied, EngineError, GenerationFailed, Request, RequestInvalid
from llmchat_tui.evaluation.asking import Manner, ask, request_of
from llmchat_tui.evaluation.grading import grade
from llmchat_tui.evaluation.items import Item
from llmchat_tui.evaluation.log import Entry, Log, key_of
from llmchat_tui.evaluation.ways import Examples, Way
from llmchat_tui.recipe import Recipe, packed

MOST_CRASHES = 3
"""Crashes in a row that are only failed questions; one more, and it is the model that fails."""
_OF_ONE_QUESTION = (ContextFull, EngineDied, GenerationFailed, RequestInvalid)
"""What may go well with the next question. Anything else (no such model, no memory) ends the run."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that is asked."""

    name: str
    key: str
    engine: Engine


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next question to be asked."""

    item: Item
    way: Way
    model: str
    done: int
    """Questions that are answered, in all ways and by all models, those known from before too."""
    total: int


@dataclass(frozen=True, slots=True)
class _Cell:
    """One question in one way."""

    item: Item
    way: Way
    recipe: Recipe
    request: Request
    key: str


class Run:
    """One comparison."""

    def __init__(
        self, items: Sequence[Item], ways: Sequence[Way], examples: Examples, manner: Manner, log: Log
    ) -> None:
        """Takes what is compared.

        Args:
            items: the questions.
            ways: how they are asked.
            examples: the worked examples, for ways that show some.
            manner: what all questions share.
            log: where replies are looked up and written down.
        """
        self._items, self._ways, self._examples, self._manner, self._log = items, ways, examples, manner, log
        self._stopped = threading.Event()
        self._asking: tuple[Engine, str] | None = None

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends the run: the question that is being asked is dropped, those before it are kept."""
        self._stopped.set()
        if asking := self._asking:
            asking[0].cancel(asking[1])

    def entries(self, subjects: Sequence[Subject]) -> Generator[Upcoming | Entry, None, None]:
        """Yields what comes of every question, `Upcoming` before each that is not known from an earlier run.

        Raises:
            EngineError: a model cannot be used at all, or crashes again and again.
            StorageUnwritable: the log cannot take a line.
            UsageError: a template cannot be used so.
        """
        cells = [(item, way) for way in self._ways for item in self._items if way.applies(item)]
        done, total = 0, len(cells) * len(subjects)
        for subject in subjects:
            crashes, loaded = 0, False
            for item, way in cells:
                if self.stopped:
                    return
                cell = self._cell(item, way, subject)
                entry = self._log.find(cell.key)
                if entry is None:
                    yield Upcoming(item, way, subject.name, done, total)
                    loaded = loaded or _load(subject.engine)
                    entry, error = self._ask(cell, subject)
                    if entry is None:
                        return
                    crashes = crashes + 1 if isinstance(error, EngineDied) else 0
                    if error is not None and crashes > MOST_CRASHES:
                        raise error
                    self._log.add(entry)
                done += 1
                yield replace(self._judged(item, entry), model=subject.name)  # the file may have had another name

    def _cell(self, item: Item, way: Way, subject: Subject) -> _Cell:
        recipe = self._examples.recipe(way, item)
        request = request_of(item, way, recipe, self._manner)
        return _Cell(item, way, recipe, request, key_of(item, way.name, request, subject.key, packed(recipe)))

    def _ask(self, cell: _Cell, subject: Subject) -> tuple[Entry | None, EngineError | None]:
        """Returns what came of a question, and its failure; no entry where the run was stopped."""
        item, request = cell.item, cell.request
        bare = Entry(
            key=cell.key,
            item=item.id,
            kind=item.kind,
            way=cell.way.name,
            model=subject.name,
            model_key=subject.key,
            question=item.asked,
            expected=item.expected,
            sampling={name: value for name, value in asdict(request.sampling).items() if value not in (None, ())},
        )
        self._asking = (subject.engine, request.id)
        try:
            reply = None if self.stopped else ask(subject.engine, item, cell.way, cell.recipe, request)
        except _OF_ONE_QUESTION as error:
            return replace(bare, error=str(error)), error
        finally:
            self._asking = None
        if reply is None:
            return None, None
        told = asdict(reply)
        return self._judged(item, replace(bare, reply=told.pop("text"), **told)), None

    @staticmethod
    def _judged(item: Item, entry: Entry) -> Entry:
        """Returns an entry with its reply judged: as today's rules have it, whenever it was asked."""
        if entry.error:
            return entry
        judged = grade(item, entry.reply)
        return replace(entry, right=judged.right, found=judged.found, expected=item.expected)


def _load(engine: Engine) -> bool:
    """Waits for the model, so that no question pays for it."""
    with closing(engine.load()) as events:
        for _ in events:
            pass
    return True
