"""`llmchat ask`: one question, one answer on stdout.

Turns a turn's outcome into stdout and an exit code. What is asked is ask_turn.py's, the turn itself turn.py's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.ask_flags import AskFlags
from llmchat_tui.cli.ask_recipe import keep_as_template, named_template, open_sampling
from llmchat_tui.cli.ask_turn import Basis, basis_of, make_turn, read_question, system_of
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.cli.options import (
    answers_options,
    cache_options,
    model_flags,
    model_options,
    option_pairs,
    sampling_given,
    sampling_options,
    search_options,
)
from llmchat_tui.cli.prompting_options import form_options, prompting_flags, prompting_options

if TYPE_CHECKING:
    from llmchat_engine import Engine, Spec
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.cli.talk import Outcome
    from llmchat_tui.cli.thoughts import Thoughts
    from llmchat_tui.console import Console
    from llmchat_tui.documents import Documents
    from llmchat_tui.history import History
    from llmchat_tui.turn import Turn

EXIT_CODES = """\b
Exit codes:
  0    answered
  1    failed, or the time of --timeout was up
  2    usage or configuration
  3    model, template or collection missing or invalid
  4    the prompt does not fit into the context
  5    schema or grammar not satisfied
  6    network or download
  7    storage unwritable or damaged; not enough memory or disk
  8    the engine crashed
  9    input too large, or not text
  10   abstained: the documents hold no answer
  130, 143, 129   SIGINT, SIGTERM, SIGHUP; the partial answer is kept
  141  stdout was closed
"""


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", nargs=-1)
@click.option(
    "-m",
    "--model",
    default="",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Name, unique part of one, path of a GGUF file, or openai:NAME.",
)
@click.option("-s", "--system", metavar="TEXT", help="System prompt.")
@click.option(
    "--sf", "--system-file", "system_file", type=click.Path(path_type=Path), help="System prompt, from a file."
)
@click.option("-c", "--continue", "resume", is_flag=True, help="Go on with the newest chat.")
@click.option("--cid", "--conversation", "conversation", default="", metavar="CHAT", help="Go on with this chat.")
@click.option(
    "-f",
    "--file",
    "--fragment",
    "files",
    multiple=True,
    metavar="PATH",
    help="File, directory or glob to put before the question; repeatable.",
)
@click.option("--docs", is_flag=True, help="Answer from the documents: the chat's collections, or all of them.")
@search_options
@click.option("--docs-k", type=click.IntRange(1, 100), metavar="N", help="Passages that the model is given.")
@click.option(
    "--cite/--no-cite", default=None, help="Hold each sentence to end with the number of a passage that was given."
)
@click.option("--sources", is_flag=True, help="Tell sources and marks on stderr; on a terminal they are always told.")
@click.option("--explain", is_flag=True, help="Tell on stderr how the passages were ranked.")
@click.option("--prefill", default="", metavar="TEXT", help="Have the answer begin with this; it is printed too.")
@click.option("-x", "--extract", is_flag=True, help="Print the first fenced code block alone.")
@click.option("--xl", "--extract-last", "extract_last", is_flag=True, help="Print the last fenced code block alone.")
@click.option("-n", "--no-log", is_flag=True, help="Keep nothing: not in the chats, not in the engine's cache.")
@click.option("-u", "--usage", is_flag=True, help="Tell tokens and speed on stderr.")
@click.option("--verbose", is_flag=True, help="Tell everything about the run on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks.")
@prompting_options
@form_options
@sampling_options
@answers_options
@model_options
@cache_options("drop", "stop", "summarize")
@click.option("--keepalive", default="", metavar="TIME", help="How long the model stays loaded: 30s, 5m, 0.")
@click.option("--raw", is_flag=True, help="Complete the text without a chat template (base models).")
@click.option("--md/--no-md", "markdown", default=None, help="Render Markdown, or print the text as it is.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is complete.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the answer and all about it.")
@click.option("--dry-run", is_flag=True, help="Print the exact prompt, its length and the samplers; ask nothing.")
@click.option(
    "--timeout", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Stop the answer after this time."
)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), help="Colour on a terminal.")
@click.pass_obj
def ask(app: App, /, options: tuple[tuple[str, str], ...], **flags: Any) -> None:
    """Ask one question and print the answer.

    What is piped into stdin comes first, then a blank line, then PROMPT; "-" in PROMPT places it elsewhere.
    """
    from llmchat_engine.errors import EngineError
    from llmchat_tui.cli.interrupts import catch_signals

    given, loading, prompting = sampling_given(flags, option_pairs(options)), model_flags(flags), prompting_flags(flags)
    with catch_signals() as interrupts:
        try:
            code = _Ask(app, AskFlags(**flags, prompting=prompting), loading, given, interrupts).run()
        except EngineError:
            if not interrupts.code:
                raise
            code = interrupts.code  # what fails after a signal fails because of it
    raise SystemExit(code)


class _Ask:
    """One run of the command."""

    def __init__(
        self, app: App, flags: AskFlags, loading: dict[str, Any], given: dict[str, Any], interrupts: Interrupts
    ) -> None:
        self._app, self._flags, self._loading = app, flags, loading
        self._given, self._interrupts = given, interrupts
        self._console: Console = app.console(flags.color, flags.quiet)
        self._warnings: list[str] = []

    def run(self) -> int:
        """Asks, and returns the exit code."""
        from llmchat_tui.cli.render import binary_stdout

        app = self._app
        binary_stdout()  # without one there is nobody to answer, and no model is loaded for nobody
        template = named_template(app, self._flags.prompting)
        flags = self._flags = self._flags.over(template)
        flags.check()
        basis = basis_of(app, flags, template, self._given, self._warn)
        if flags.prompting.save and not (question := self._save(basis)):
            return 0
        spec: Spec = app.spec(flags.model, **self._loading)
        with app.engine(spec, self._keepalive()) as engine:
            engine.prepare()  # the model's host starts while the input is read
            question = question if flags.prompting.save else read_question(app, flags, self._warn)
            turn = make_turn(app, flags, basis, question, self._warn, app.own_options(spec))
            with app.documents(turn) as documents:
                if flags.dry_run:
                    return self._show_prompt(turn, engine, documents)
                with app.history(keep=not flags.no_log) as history:
                    return self._ask(turn, engine, history, documents)

    def _save(self, basis: Basis) -> str:
        """Makes the template of --save; returns the question, which may be empty."""
        app, flags = self._app, self._flags
        given = system_of(app, flags, self._warn)
        system = (basis.chat.system if basis.chat else "") if given is None else given
        of_chat = open_sampling(app.config, basis.chat.sampling) if basis.chat else {}
        path = keep_as_template(app, flags, basis.asked, system, of_chat | self._given)
        self._console.info(f"saved {path}")
        return read_question(app, flags, self._warn)

    def _keepalive(self) -> float | None:
        from llmchat_tui.config_values import parse_duration

        return parse_duration(self._flags.keepalive) if self._flags.keepalive else None

    def _warn(self, text: str) -> None:
        self._warnings.append(text)
        self._console.warn(text)

    def _show_prompt(self, turn: Turn, engine: Engine, documents: Documents | None) -> int:
        from llmchat_tui.cli.ask_turn import request_of
        from llmchat_tui.cli.render import AnswerWriter, binary_stdout
        from llmchat_tui.cli.usage import chosen_by

        request = request_of(turn)
        if documents is not None:
            from llmchat_tui.cli.ask_docs import block_of

            request = request_of(turn, block_of(documents, turn, request, engine))
        rendered = engine.render(request)
        terminal = self._console.look.stdout_is_terminal
        writer = AnswerWriter(binary_stdout(), "plain" if terminal else "exact")
        writer.write(rendered.text)
        writer.finish()
        self._console.say(f"{len(rendered.token_ids):,} tokens")
        self._console.say(chosen_by(turn, engine))
        return 0

    def _ask(self, turn: Turn, engine: Engine, history: History, documents: Documents | None) -> int:
        from llmchat_tui.cli.ask_told import tell
        from llmchat_tui.cli.talk import Collected, Outcome, ending_of, talk
        from llmchat_tui.cli.thoughts import Thoughts

        flags = self._flags
        collect = flags.as_json or flags.extract or flags.extract_last or (flags.no_stream and flags.answers == 1)
        thoughts = Thoughts(self._console, shown=flags.shows_thoughts)
        answer = Collected() if collect else self._answers(thoughts) if flags.answers > 1 else self._writer()
        outcome = Outcome(documents=documents)
        talk(turn, engine, history, answer, self._console, self._interrupts, flags.timeout, outcome, thoughts)
        if collect:
            self._print(outcome, turn)
        tell(outcome, flags, self._console)
        return ending_of(outcome, self._interrupts, flags.timeout, turn.recipe.schema)

    def _writer(self) -> Any:
        from llmchat_tui.cli.render import AnswerWriter, Mode, binary_stdout
        from llmchat_tui.console import terminal_columns

        look = self._console.look
        wanted = self._flags.markdown
        markdown = self._app.config.settings.markdown and look.stdout_is_terminal if wanted is None else wanted
        mode: Mode = "markdown" if markdown and not look.dumb else "plain" if look.stdout_is_terminal else "exact"
        return AnswerWriter(binary_stdout(), mode, color=look.color_stdout, columns=terminal_columns(sys.stdout))

    def _answers(self, thoughts: Thoughts) -> Any:
        from llmchat_tui.cli.answers import Answers
        from llmchat_tui.cli.render import binary_stdout

        return Answers(self._flags.answers, binary_stdout(), self._writer, thoughts)

    def _print(self, outcome: Outcome, turn: Turn) -> None:
        """Prints a collected answer as JSON, as a code block, or whole."""
        from llmchat_tui.cli.blocks import extract_fence
        from llmchat_tui.cli.common import print_text
        from llmchat_tui.cli.envelope import envelope

        if outcome.text is None:
            return
        text = outcome.text
        if self._flags.as_json:
            print_text(envelope(outcome, turn, self._warnings))
            return
        if self._flags.extract or self._flags.extract_last:
            code = extract_fence(text, last=self._flags.extract_last)
            if code is None:
                self._warn("the answer has no fenced code block; it is printed whole")
            text = text if code is None else code
        writer = self._writer()
        writer.write(text)
        writer.finish()
