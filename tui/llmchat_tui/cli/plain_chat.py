"""`llmchat chat`: a plain line-by-line chat over the same turn as `ask`. The Textual chat will take its place."""

from __future__ import annotations

import contextlib
import gc
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.options import option_pairs, sampling_from, sampling_options

if TYPE_CHECKING:
    from llmchat_engine import Engine, Sampling
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.console import Console
    from llmchat_tui.history import Conversation, History

_HELP = "Enter sends. /new begins a new chat, /exit leaves (Ctrl+D too). Ctrl+C stops an answer."


@click.command()
@click.option("-m", "--model", default="", metavar="MODEL", help="Name, unique part of one, or path of a GGUF file.")
@click.option("-s", "--system", metavar="TEXT", help="System prompt of a new chat.")
@click.option("-c", "--continue", "resume", is_flag=True, help="Go on with the newest chat.")
@click.option("--cid", "--conversation", "conversation", default="", metavar="CHAT", help="Go on with this chat.")
@sampling_options
@click.option("--ctx", type=click.IntRange(0, 2**31 - 1), metavar="N", help="Context length in tokens; 0 is automatic.")
@click.option("--gpu-layers", type=click.IntRange(-1, 10_000), metavar="N", help="Layers on the GPU; -1 is all.")
@click.option("--threads", type=click.IntRange(0, 4_096), metavar="N", help="CPU threads; 0 is the physical cores.")
@click.pass_obj
def chat(
    app: App, /, model: str, system: str | None, resume: bool, conversation: str, options: Any, **flags: Any
) -> None:
    """Chat line by line. Everything is kept; `llmchat chats` lists it."""
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.errors import UsageError

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("the chat needs a terminal", "stdin is none", "llmchat ask 'a question'")
    spec = app.spec(model, **{name: flags.pop(name) for name in ("ctx", "gpu_layers", "threads")})
    gc.enable()  # a chat may live for days
    sampling = sampling_from(app.config.sampling, flags, option_pairs(options))
    with catch_signals() as interrupts, app.engine(spec) as engine, app.history() as history:
        talker = _Chat(
            app, engine, history, interrupts, sampling, app.config.settings.system if system is None else system
        )
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
        from llmchat_tui.cli.inputs import as_text
        from llmchat_tui.cli.interrupts import Interrupted

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
