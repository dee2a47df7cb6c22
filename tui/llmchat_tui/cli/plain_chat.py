"""`llmchat chat --plain`: a chat line by line over the same turn as `ask`, for terminals that cannot be painted on."""

from __future__ import annotations

import contextlib
import gc
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmchat_tui.cli.app import App

if TYPE_CHECKING:
    from llmchat_engine import Engine, ModelSpec, Sampling
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.console import Console
    from llmchat_tui.history import Conversation, History

_HELP = "Enter sends. /new begins a new chat, /exit leaves (Ctrl+D too). Ctrl+C stops an answer."


def run_plain(app: App, spec: ModelSpec, sampling: Sampling, system: str, resume: bool, conversation: str) -> None:
    """Chats line by line until the end of input.

    Args:
        app: the program.
        spec: the model.
        sampling: how tokens are chosen.
        system: the system prompt of new chats.
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
    with catch_signals() as interrupts, app.engine(spec) as engine, app.history() as history:
        talker = _Chat(app, engine, history, interrupts, sampling, system)
        if resume or conversation:
            talker.resume(history.conversation(conversation) if conversation else history.latest())
        talker.run()


@dataclass
class _Chat:
    """The loop: a line in, a turn, its answer out."""

    app: App
    engine: Engine
    history: History
    interrupts: Interrupts
    sampling: Sampling
    system: str
    conversation_id: str = ""
    leaf_id: str = ""
    first_system: str = field(init=False)

    def __post_init__(self) -> None:
        """Keeps the system prompt that every new chat begins with."""
        self.first_system = self.system

    def resume(self, conversation: Conversation | None) -> None:
        """Goes on behind the newest message of a chat."""
        if conversation is not None:
            self.conversation_id, self.leaf_id = conversation.id, conversation.leaf_id
            self.system = conversation.system

    def run(self) -> None:
        """Reads and answers until the end of input."""
        console = self.app.console()
        console.say(_HELP)
        self._load(console)
        while (question := self._read()) is not None:
            if question in ("/exit", "/bye", "/quit"):
                return
            if question == "/new":
                self.conversation_id = self.leaf_id = ""
                self.system = self.first_system
                console.say("a new chat")
            elif question in ("/help", "/?"):
                console.say(_HELP)
            elif question.strip():
                self._answer(question, console)

    def _load(self, console: Console) -> None:
        """Loads the model while the user reads, and tells which one it is."""
        from llmchat_engine import Loaded, Loading

        for event in self.engine.load():
            if isinstance(event, Loading):
                console.status(f"loading the model {event.fraction:.0%}")
            elif isinstance(event, Loaded):
                model = event.model
                console.clear_status()
                console.say(f"{model.name} · {model.quantization} · {model.n_ctx:,} tokens of context")

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

    def _answer(self, question: str, console: Console) -> None:
        """Runs one turn; a failure is told, and the chat goes on."""
        from llmchat_engine import EngineError
        from llmchat_tui.cli.render import AnswerWriter, binary_stdout
        from llmchat_tui.cli.talk import talk
        from llmchat_tui.cli.usage import usage_line
        from llmchat_tui.turn import Turn

        look = console.look
        writer = AnswerWriter(binary_stdout(), "plain", color=look.color_stdout)
        earlier = self.history.path(self.leaf_id) if self.leaf_id else ()
        turn = Turn(question, earlier, self.conversation_id, system=self.system, sampling=self.sampling)
        try:
            outcome = talk(turn, self.engine, self.history, writer, console, self.interrupts)
        except EngineError as error:
            console.error(error.what, error.why, error.hint)
            return
        finally:
            self._go_on()
        if outcome.begun and outcome.finished:
            self.conversation_id, self.leaf_id = outcome.begun.conversation_id, outcome.begun.reply_id
            console.say(usage_line(outcome.finished))
