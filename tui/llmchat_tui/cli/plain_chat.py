"""`llmchat chat --plain`: a chat line by line over the same turn as `ask`, for terminals that cannot be painted on."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llmchat_rag import RagError
from llmchat_tui.asked import asked_of, named, of_chat
from llmchat_tui.cli.app import App
from llmchat_tui.cli.ask_recipe import check_documents
from llmchat_tui.documents_words import answered_from, chosen_names
from llmchat_tui.errors import UsageError
from llmchat_tui.recipe import PLAIN, Recipe, recipe_of
from llmchat_tui.remote_choice import leaves_notice, sent_to
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine import Engine, ModelInfo, Sampling, Spec
    from llmchat_tui.asked import Asked
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.console import Console
    from llmchat_tui.documents import Documents
    from llmchat_tui.history import Conversation, History, StoredMessage
    from llmchat_tui.overflow import Overflow
    from llmchat_tui.turn import Turn

_HELP = (
    "Enter sends. /again answers the last question once more, /new begins a new chat, /exit leaves (Ctrl+D too)."
    " /docs NAME, all or off: what documents it is answered from. Ctrl+C stops an answer."
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the chat is led, from the flags and the settings."""

    sampling_of: Callable[[Conversation | None], Sampling]
    """Returns the sampling of a chat that goes on, or of a new one."""
    system: str
    """The system prompt of new chats."""
    overflow: Overflow
    store: bool
    """Whether chats may be kept on disk as the model saw them."""
    asked: Asked
    """How documents are searched."""
    collections: tuple[str, ...] = ()
    """Those that new chats are answered from."""
    recipe: Recipe = PLAIN
    """How the questions of new chats are asked."""
    own_sampling: Mapping[str, Any] = field(default_factory=dict)
    """What new chats keep as their own sampling."""


def run_plain(app: App, spec: Spec, manner: Manner, resume: bool, conversation: str) -> None:
    """Chats line by line until the end of input.

    Args:
        app: the program.
        spec: the model.
        manner: how it is led.
        resume: go on with the newest chat.
        conversation: go on with this one.

    Raises:
        UsageError: stdin is no terminal.
    """
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.errors import UsageError

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("the chat needs a terminal", "stdin is none", "llmchat ask 'a question'")
    gc.enable()  # a chat may live for days
    with ExitStack() as stack:
        interrupts, documents = stack.enter_context(catch_signals()), stack.enter_context(app.open_documents())
        engine, history = stack.enter_context(app.engine(spec)), stack.enter_context(app.history())
        talker = _Chat(app, engine, history, documents, interrupts, manner)
        talker.begin()
        if resume or conversation:
            talker.resume(history.conversation(conversation) if conversation else history.latest())
        talker.run()


@dataclass
class _Chat:
    """The loop: a line in, a turn, its answer out."""

    app: App
    engine: Engine
    history: History
    documents: Documents
    interrupts: Interrupts
    manner: Manner
    system: str = ""
    collections: tuple[str, ...] = ()
    """Those that the chat is answered from."""
    recipe: Recipe = PLAIN
    sampling: Sampling | None = None
    conversation_id: str = ""
    leaf_id: str = ""
    question_id: str = ""
    """The last question, which may have no answer yet."""

    def begin(self) -> None:
        """Begins a new chat."""
        manner = self.manner
        self.conversation_id = self.leaf_id = self.question_id = ""
        self.system, self.collections, self.recipe = manner.system, manner.collections, manner.recipe
        self.sampling = manner.sampling_of(None)

    def resume(self, conversation: Conversation | None) -> None:
        """Goes on behind the newest message of a chat.

        Raises:
            UsageError: the flags name documents, and the chat asks for what they cannot give.
        """
        if conversation is not None:
            self.recipe, self.sampling = recipe_of(conversation.recipe), self.manner.sampling_of(conversation)
            self.conversation_id, self.leaf_id = conversation.id, conversation.leaf_id
            self.system = conversation.system
            self.collections = of_chat(self.collections, conversation.collections)
            check_documents(self.recipe, self.collections)
            path = self.history.path(conversation.leaf_id) if conversation.leaf_id else ()
            self.question_id = next((message.id for message in reversed(path) if message.role == "user"), "")

    def run(self) -> None:
        """Reads and answers until the end of input."""
        console = self.app.console()
        console.say(_HELP)
        self._load(console)
        while (question := self._read()) is not None:
            if question in ("/exit", "/bye", "/quit"):
                return
            if question == "/new":
                self.begin()
                console.say("a new chat")
            elif question in ("/help", "/?"):
                console.say(_HELP)
            elif question == "/again":
                self._again(console)
            elif question.split(maxsplit=1)[:1] == ["/docs"]:
                self._choose(question.removeprefix("/docs"), console)
            elif question.strip():
                earlier = self.history.path(self.leaf_id) if self.leaf_id else ()
                self._answer(self._turn(question, earlier, self.conversation_id), console)

    def _load(self, console: Console) -> None:
        """Loads the model while the user reads, and tells which one it is."""
        from llmchat_engine import Loaded, Loading

        for event in self.engine.load():
            if isinstance(event, Loading):
                console.status(f"loading the model {event.fraction:.0%}")
            elif isinstance(event, Loaded):
                model = event.model
                console.clear_status()
                console.say(_model_line(model))
        if self.collections:
            console.say(answered_from(self.collections))

    def _read(self) -> str | None:
        from llmchat_tui.cli.interrupts import Interrupted
        from llmchat_tui.inputs import as_text

        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - line editing and history for input()
        try:
            return as_text(input("\n> "))
        except EOFError:
            print()
            return None
        except Interrupted as interrupted:
            if interrupted.code != 130:
                raise
            print()
            return None

    def _go_on(self) -> None:
        """Forgets a Ctrl+C that stopped an answer; every other signal ends the chat."""
        from llmchat_tui.cli.interrupts import Interrupted

        if (code := self.interrupts.code) not in (0, 130):
            raise Interrupted(code)
        self.interrupts.reset()

    def _again(self, console: Console) -> None:
        """Has the last question answered once more; the answers it has stay."""
        if not self.question_id:
            console.say("nothing was asked yet")
            return
        *earlier, question = self.history.path(self.question_id)
        turn = self._turn(question.text, tuple(earlier), question.conversation_id)
        self._answer(replace(turn, question_id=question.id), console)

    def _choose(self, typed: str, console: Console) -> None:
        """Has the chat answered from other documents; without a name, tells from which."""
        names = chosen_names(typed)
        try:
            if names:
                check_documents(self.recipe, names)
                self.documents.look_up(named(names))
        except (RagError, UsageError) as error:
            console.error(error.what, error.why, error.hint)
            return
        if names is not None:
            self.collections = names
            if self.conversation_id:
                self.history.configure(self.conversation_id, collections=names)
        console.say(answered_from(self.collections))

    def _turn(self, question: str, earlier: tuple[StoredMessage, ...], conversation_id: str) -> Turn:
        from llmchat_engine import Sampling
        from llmchat_tui.turn import Turn

        manner = self.manner
        return Turn(
            question,
            earlier,
            conversation_id,
            system=self.system,
            own_collections=self.collections,
            own_sampling=manner.own_sampling,
            asked=asked_of(self.collections, manner.asked),
            sampling=self.sampling or Sampling(),
            recipe=self.recipe,
            overflow=manner.overflow,
            store=manner.store,
        )

    def _answer(self, turn: Turn, console: Console) -> None:
        """Runs one turn; a failure is told, and the chat goes on."""
        from llmchat_engine import EngineError
        from llmchat_tui.cli.render import AnswerWriter, binary_stdout
        from llmchat_tui.cli.sources import account
        from llmchat_tui.cli.talk import Outcome, talk
        from llmchat_tui.cli.usage import usage_line
        from llmchat_tui.votes import outcome_of

        writer = AnswerWriter(binary_stdout(), "plain", color=console.look.color_stdout)
        outcome = Outcome(documents=self.documents)
        try:
            talk(turn, self.engine, self.history, writer, console, self.interrupts, outcome=outcome)
        except (EngineError, RagError) as error:
            console.error(error.what, error.why, error.hint)
        finally:
            if outcome.begun:
                self.question_id = outcome.begun.question_id
            self._go_on()
        if outcome.begun and (outcome.finished or outcome.abstained):
            self.conversation_id, self.leaf_id = outcome.begun.conversation_id, outcome.begun.reply_id
        if outcome.polled and outcome.polled.tally:
            console.say(outcome_of(outcome.polled))
        for line in account(outcome):
            console.say(sanitize_line(line))
        if outcome.form_fault:
            console.warn(f"the answer is kept, but {outcome.form_fault}")
        if outcome.finished:
            console.say(usage_line(outcome.finished, outcome.model.remote if outcome.model else ""))


def _model_line(model: ModelInfo) -> str:
    """Returns which model answers; of one on a server, where what is said goes."""
    context = f" · {model.n_ctx:,} tokens of context" if model.n_ctx else ""
    if not model.remote:
        return f"{model.name} · {model.quantization}{context}"
    return sanitize_line(f"{model.name} {sent_to(model.remote)}{context} · {leaves_notice(model.remote)}")
