"""From the flags of `llmchat ask` to its `Turn`: the question from arguments, stdin and files, and the chat before it.

Starts no engine and prints nothing. What is left out or replaced on the way is told through `warn`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_tui.cli.app import App

if TYPE_CHECKING:
    from llmchat_engine import Request, Sampling
    from llmchat_tui.history import Conversation, StoredMessage
    from llmchat_tui.inputs import Limits
    from llmchat_tui.turn import Turn

_LONGEST_TIMEOUT = 1_000_000
"""Seconds; a timer of Python fails above some 9e9."""


@dataclass(frozen=True, slots=True)
class AskFlags:
    """The flags of one `ask` that are neither about sampling nor about how the model is loaded."""

    prompt: tuple[str, ...]
    model: str
    system: str | None
    system_file: Path | None
    resume: bool
    conversation: str
    files: tuple[str, ...]
    docs: bool
    collections: tuple[str, ...]
    docs_k: int | None
    alpha: float | None
    fusion: Any
    min_score: float | None
    rerank: bool | None
    cite: bool | None
    sources: bool
    explain: bool
    prefill: str
    overflow: Any
    no_kv_cache: bool
    extract: bool
    extract_last: bool
    no_log: bool
    usage: bool
    verbose: bool
    quiet: bool
    raw: bool
    markdown: bool | None
    no_stream: bool
    as_json: bool
    dry_run: bool
    answers: int
    beams: int | None
    length_penalty: float | None
    grammar_file: Path | None
    timeout: float
    keepalive: str
    color: Any

    def check(self) -> None:
        """Raises where flags exclude each other.

        Raises:
            UsageError: naming them.
        """
        from llmchat_tui.errors import UsageError

        if self.system is not None and self.system_file:
            raise UsageError("--system and --system-file exclude each other")
        if self.resume and self.conversation:
            raise UsageError("--continue and --conversation exclude each other")
        if self.as_json and (self.extract or self.extract_last):
            raise UsageError("--json and --extract exclude each other")
        self._check_answers()
        if not self.asks_documents and (flag := self._documents_flag()):
            raise UsageError(f"{flag} is about documents", "none are asked", f"add --docs, or -d NAME, to {flag}")
        if not self.timeout <= _LONGEST_TIMEOUT:  # not a number is refused too
            raise UsageError(f"--timeout {self.timeout:g} is too long", f"{_LONGEST_TIMEOUT:,} s is the most")

    def _check_answers(self) -> None:
        from llmchat_tui.errors import UsageError

        several = self.answers > 1
        if several and self.asks_documents:
            raise UsageError("--answers and documents exclude each other", "from documents there is one answer")
        if several and self.beams:
            raise UsageError("--answers and --beams exclude each other", "beams lead to one answer, the likeliest")
        if several and (self.extract or self.extract_last):
            raise UsageError("--answers and --extract exclude each other", "", "--json has every answer")
        if self.length_penalty is not None and not self.beams:
            raise UsageError("--length-penalty is about beams", "there are none", "add --beams 4")
        if self.cite and self.beams:
            raise UsageError("--cite and --beams exclude each other", "the form of an answer is about what is drawn")
        if self.cite and self.grammar_file:
            raise UsageError("--cite and --grammar exclude each other", "an answer follows one form")
        if self.grammar_file and self.beams:
            raise UsageError("--grammar and --beams exclude each other", "a grammar is about what is drawn")
        if self.grammar_file and self.prefill:
            raise UsageError("--grammar and --prefill exclude each other", "the grammar is about the whole answer")

    @property
    def asks_documents(self) -> bool:
        """Whether the answer comes from documents."""
        return self.docs or bool(self.collections)

    def _documents_flag(self) -> str:
        """Returns the first flag that means nothing without documents; empty where there is none."""
        given = {
            "--docs-k": self.docs_k,
            "--alpha": self.alpha,
            "--fusion": self.fusion,
            "--min-score": self.min_score,
            "--rerank": self.rerank,
            "--cite": self.cite,
            "--sources": self.sources or None,
            "--explain": self.explain or None,
        }
        return next((flag for flag, value in given.items() if value is not None), "")


def make_turn(app: App, flags: AskFlags, sampling: Sampling, warn: Callable[[str], None]) -> Turn:
    """Returns what is asked.

    Raises:
        UserError: there is no question, a file or stdin cannot be used, or there is no such chat.
    """
    from llmchat_tui.cli.options import keeps_cache, overflow_unasked
    from llmchat_tui.inputs import as_text, build_question, piped_stdin
    from llmchat_tui.recipe import PLAIN, Recipe
    from llmchat_tui.turn import Turn

    settings, limits = app.config.settings, _limits(app)
    question = build_question(flags.prompt, flags.files, piped_stdin(), limits, warn)
    chat, earlier = _chat(app, flags) if flags.resume or flags.conversation else (None, ())
    system = _system(flags, limits, warn)
    turn = Turn(
        question,
        earlier=earlier,
        conversation_id=chat.id if chat and not flags.no_log else "",
        title=" ".join(word for word in flags.prompt if word != "-"),  # not the file that stands before it
        system=(chat.system if chat else settings.system) if system is None else system,
        sampling=sampling,
        raw=flags.raw,
        prefill=as_text(flags.prefill),
        overflow=overflow_unasked(flags.overflow, settings),
        store=keeps_cache(flags.no_kv_cache, settings) and not flags.no_log,
        private=flags.no_log,
        answers=flags.answers,
        beams=flags.beams or 0,
        length_penalty=1.0 if flags.length_penalty is None else flags.length_penalty,
        recipe=Recipe(grammar=_grammar(flags.grammar_file, limits, warn)) if flags.grammar_file else PLAIN,
    )
    if not flags.asks_documents:
        return turn
    from llmchat_tui.cli.ask_docs import grounded

    return grounded(turn, flags, settings, chat)


def request_of(turn: Turn, documents: str = "") -> Request:
    """Returns what the model would be given, were the chat to fit: without what it does not see any more."""
    from llmchat_engine import Message, Request
    from llmchat_tui.composing import compose
    from llmchat_tui.overflow import seen_of

    seen = seen_of(turn.earlier)
    messages = compose(
        turn.system, turn.earlier, turn.question, left_out=seen.left_out, summary=seen.summary, documents=documents
    )
    if turn.prefill:
        messages = (*messages, Message("assistant", turn.prefill))
    began = turn.earlier[0].created_at if turn.earlier else 0.0
    return Request(messages, turn.sampling, raw=turn.raw, now=began)


def _limits(app: App) -> Limits:
    from llmchat_tui.inputs import Limits

    return Limits(app.config.settings.stdin_limit_mib)


def _chat(app: App, flags: AskFlags) -> tuple[Conversation, tuple[StoredMessage, ...]]:
    """Returns the chat to go on with, and its newest path."""
    from llmchat_tui.errors import NotFound

    with app.history() as history:
        chat = history.conversation(flags.conversation) if flags.conversation else history.latest()
        if chat is None:
            raise NotFound("there is no chat to go on with", hint="llmchat ask 'a first question'")
        return chat, history.path(chat.leaf_id)


def _grammar(file: Path, limits: Limits, warn: Callable[[str], None]) -> str:
    """Returns the text of a grammar; one that cannot be used is refused before a model is loaded for it."""
    from llmchat_engine.errors import RequestInvalid
    from llmchat_engine.grammar import check_grammar
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import read_text

    try:
        text = read_text(file, limits, warn)
        check_grammar(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be read", error.strerror or "") from error
    except RequestInvalid as error:
        raise UsageError(f"{file} cannot be used as a grammar", error.why, error.hint) from error
    return text


def _system(flags: AskFlags, limits: Limits, warn: Callable[[str], None]) -> str | None:
    """Returns the system prompt that was given; None where none was."""
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import as_text, read_text

    if flags.system_file is None:
        return None if flags.system is None else as_text(flags.system)
    try:
        return read_text(flags.system_file, limits, warn).strip()
    except OSError as error:
        raise UsageError(f"{flags.system_file} cannot be read", error.strerror or "") from error
