"""The chosen model, kept loaded while the program is open, and the counting of what the context holds. Headless.

One thread with a mailbox of one: the newest wish counts, older ones are dropped. Knows no screen and no chat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from llmchat_engine import Engine, EngineError, Loaded, Loading, Message, ModelInfo, Request
from llmchat_engine.events import Measured
from llmchat_tui.composing import compose, examples
from llmchat_tui.errors import UserError
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.overflow import seen_of
from llmchat_tui.recipe import PLAIN, Recipe

SETTLE_SECONDS = 0.12
"""How long a draft must rest before it is counted: typing comes at 5 to 12 keys a second."""


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """The model is being read; `fraction` runs from 0 to 1."""

    fraction: float


@dataclass(frozen=True, slots=True)
class ModelReady:
    """The model is loaded."""

    model: ModelInfo
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The model cannot be loaded, or its host died."""

    error: UserError | EngineError


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be counted."""

    leaf_id: str
    """The message that the draft follows; empty in a new chat."""
    system: str
    draft: str
    growing: bool = False
    """Whether the message `leaf_id` is a reply that is still being written."""
    documents: int = 0
    """Tokens of documents that this reply is written from; they are on no path, and come back as they are."""
    recipe: Recipe = PLAIN
    """How the draft would be asked."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the context would hold if the draft were sent now."""

    wish: Wish
    measured: Measured
    has_system: bool = False
    """Whether the first message is a system prompt, or a summary in the place of what was left out."""
    shots: int = 0
    """So many messages behind it are worked examples."""


PresenceNews = ModelLoading | ModelReady | ModelFailed | Counted


class Presence:
    """Loads a model in a thread of its own and counts for whoever asks."""

    def __init__(
        self,
        engine: Engine,
        history: History,
        tell: Callable[[PresenceNews], None],
        expand: Callable[[str], str] = str,
    ) -> None:
        """Begins to load.

        Args:
            engine: of the chosen model; this object closes it.
            history: where the path to count lies.
            expand: returns a draft as it would be sent, with its files; called in the thread.
            tell: takes news from any thread; not called any more once `close` was.
        """
        self._engine, self._history, self._tell, self._expand = engine, history, tell, expand
        self._changed = threading.Condition()
        self._wish: Wish | None = None
        self._closed = False
        self._reload = True
        self._path: tuple[str | None, tuple[StoredMessage, ...]] = (None, ())
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()

    def count(self, wish: Wish) -> None:
        """Asks for a count; it comes as `Counted` once nothing newer was wished for."""
        with self._changed:
            self._wish = wish
            self._changed.notify()

    def reload(self) -> None:
        """Joins the model again after its host died."""
        with self._changed:
            self._reload = True
            self._changed.notify()

    def close(self) -> None:
        """Leaves the host, without waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        ready = False
        while (task := self._next(ready)) is not None:
            try:
                if isinstance(task, Wish):
                    self._say(self._counted(task))
                else:
                    ready = False
                    self._load()
                    ready = True
            except (EngineError, UserError) as error:
                ready = ready and isinstance(task, Wish) and not _is_gone(error)
                if not isinstance(task, Wish) or not ready:
                    self._say(ModelFailed(error))
        self._engine.close()

    def _next(self, ready: bool) -> Wish | str | None:
        """Returns what to do next: count, or load; None when it is time to leave."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._reload or (ready and self._wish is not None))
            while ready and not (self._closed or self._reload):
                wish = self._wish
                self._changed.wait(SETTLE_SECONDS)
                if wish == self._wish:
                    self._wish = None
                    return wish
            self._reload = False
            return None if self._closed else "load"

    def _load(self) -> None:
        for event in self._engine.load():
            if self._closed:
                return
            if isinstance(event, Loading):
                self._say(ModelLoading(event.fraction))
            elif isinstance(event, Loaded):
                self._say(ModelReady(event.model, event.seconds))

    def _counted(self, wish: Wish) -> Counted:
        messages, recipe = self._messages(wish), wish.recipe
        has_system = bool(messages) and messages[0].role == "system"
        request = Request(messages, think=recipe.think, keep_thoughts=recipe.keep_thoughts)
        return Counted(wish, self._engine.measure(request), has_system, len(examples(recipe)))

    def _messages(self, wish: Wish) -> tuple[Message, ...]:
        """Returns what the model sees of the path, and the draft; a path that was read stays until its end changes."""
        if wish.growing or self._path[0] != wish.leaf_id:
            path = self._history.path(wish.leaf_id) if wish.leaf_id else ()
            self._path = (None if wish.growing else wish.leaf_id, path)
        path = self._path[1]
        seen = seen_of(path)
        draft = wish.recipe.asks(self._expand(wish.draft)) if wish.draft.strip() else ""
        messages = compose(wish.system, path, draft, left_out=seen.left_out, summary=seen.summary, recipe=wish.recipe)
        return messages if draft else messages[:-1]

    def _say(self, news: PresenceNews) -> None:
        with self._changed:  # `close` waits for a call that is on its way, and none comes after it
            if not self._closed:
                self._tell(news)


def _is_gone(error: UserError | EngineError) -> bool:
    """Returns whether nothing can be counted before a new host is there."""
    from llmchat_engine import EngineDied, HostError

    return isinstance(error, (EngineDied, HostError))
