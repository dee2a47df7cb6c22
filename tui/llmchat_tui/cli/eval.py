"""`llmchat eval`: how well a model answers a set of questions, asked in several ways that are compared.

Knows the flags, the progress and Ctrl+C; the run is evaluation/running.py's, what is printed eval_report.py's.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.cli.options import model_flags, model_options, option_pairs, sampling_from, sampling_options

if TYPE_CHECKING:
    from llmchat_engine import Engine, Spec
    from llmchat_engine.prompting.few_shot import Embed, Shot
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.console import Console
    from llmchat_tui.evaluation.items import Item
    from llmchat_tui.evaluation.log import Entry, Log
    from llmchat_tui.evaluation.running import Run, Subject, Upcoming
    from llmchat_tui.evaluation.ways import Examples, Way

_PATH = click.Path(path_type=Path)


@click.command(name="eval")
@click.argument("data", metavar="FILE.jsonl|NAME")
@click.option(
    "--compare",
    default="zero-shot",
    show_default=True,
    metavar="WAY,WAY…",
    help="Ways of asking, the first is what the others are compared with: zero-shot, few-shot:K, few-shot:K:random or"
    " :similar, cot, cot-few-shot:K, votes:N, choice and choice-norm (likelihood of the options), template:NAME.",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    shell_complete=complete_model,
    help="Ask this model, or openai:NAME; repeatable.",
)
@click.option("-s", "--system", default="", metavar="TEXT", help="System prompt.")
@click.option(
    "--shots", "shots_file", type=_PATH, metavar="FILE", help="Worked examples; without it SET-shots.jsonl beside it."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Ask the first N questions alone.")
@click.option("--think", type=click.Choice(["auto", "on", "off"]), default="auto", help="Of a reasoning model.")
@click.option("--raw", is_flag=True, help="Complete text without a chat template (base models).")
@click.option(
    "--no-grammar", is_flag=True, help="Do not hold answers to the schema of their question; only judge them."
)
@sampling_options
@model_options
@click.option("--log", "log_file", type=_PATH, metavar="FILE", help="Where replies are kept; else in the state folder.")
@click.option("--fresh", is_flag=True, help="Ask everything again, also what is known from an earlier run.")
@click.option(
    "--show",
    type=click.Choice(["wrong", "right", "failed", "all", "kinds"]),
    help="Print such replies too, or how many were right by kind of question.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --show the replies are in it.")
@click.pass_obj
def evaluate(app: App, /, options: tuple[tuple[str, str], ...], **flags: Any) -> None:
    """Ask every question of a set in several ways, and compare how many answers are right.

    A set is a file with one JSON object per line: GSM8K's format, options, texts, numbers, patterns, JSON schemas;
    docs/evaluation.md has them all. `llmchat eval basics` asks 30 questions that come along. Nothing is recorded in
    the chats. Stopped at any moment, the same command goes on where it was.
    """
    from llmchat_tui.cli.interrupts import Interrupted, catch_signals
    from llmchat_tui.evaluation.log import Log
    from llmchat_tui.evaluation.reading import find_set, read_items

    path, load = find_set(flags["data"]), model_flags(flags)
    items = read_items(path)[: flags["limit"]]
    specs = list(dict.fromkeys(app.spec(name, **load) for name in flags["models"] or ("",)))
    make_run = _comparison(app, path, items, flags, option_pairs(options))
    log_path = flags["log_file"] or _log_path(app, path)
    with ExitStack() as stack, catch_signals() as interrupts:
        run = make_run(stack.enter_context(Log.open(log_path, fresh=flags["fresh"])))
        subjects = [_subject(spec, specs, stack.enter_context(app.engine(spec))) for spec in specs]
        entries = _asked(run, subjects, app.console(), interrupts)
        if interrupts.code:
            _tell_stopped(app.console(), len(entries), log_path)
            raise Interrupted(interrupts.code)
    _print(app, items, entries, path, log_path, flags)
    _check_any(entries)


def _comparison(
    app: App, path: Path, items: Sequence[Item], flags: dict[str, Any], options: Mapping[str, Any]
) -> Callable[[Log], Run]:
    """Returns what makes the run that the flags ask for of its log, which is opened last: all else is checked then."""
    from functools import partial

    from llmchat_engine import Sampling
    from llmchat_tui.evaluation.asking import Manner
    from llmchat_tui.evaluation.running import Run
    from llmchat_tui.evaluation.ways import parse_ways
    from llmchat_tui.templates.finding import find_template

    sampling = sampling_from(Sampling(), flags, options)
    ways = parse_ways(flags["compare"], lambda name: find_template(name, app.paths.templates_dir))
    manner = Manner(
        flags["system"], sampling, sampling.seed or 0, flags["raw"], flags["think"], not flags["no_grammar"]
    )
    return partial(Run, items, ways, _examples(app, path, flags["shots_file"], ways, manner.seed), manner)


def _examples(app: App, path: Path, given: Path | None, ways: Sequence[Way], seed: int) -> Examples:
    """Returns the worked examples; those beside the set are read where a way shows some."""
    from llmchat_tui.evaluation.reading import beside, read_examples
    from llmchat_tui.evaluation.ways import Examples, check_examples

    shots: tuple[Shot, ...] = ()
    if given is not None:
        shots = read_examples(given)
    elif any(way.shots for way in ways) and beside(path).is_file():
        shots = read_examples(beside(path))
    embed = _embedding(app) if any(way.needs_embedder for way in ways) else None
    examples = Examples(shots, seed, embed)
    check_examples(ways, examples)
    return examples


def _embedding(app: App) -> Embed:
    """Returns what makes vectors of texts, of each but once."""
    from functools import cache

    embedder = app.embedder(passages=False)

    @cache
    def vector(text: str) -> tuple[float, ...]:
        return tuple(map(float, embedder.encode_query(text)))

    return lambda texts: [vector(text) for text in texts]


def _subject(spec: Spec, all_specs: Sequence[Spec], engine: Engine) -> Subject:
    """Returns a model with its name, in full where two are called alike, and the key of its content.

    That is read from the file where it can be: a run of which everything is known loads no model.
    """
    from llmchat_engine import ModelSpec
    from llmchat_engine.errors import ModelError
    from llmchat_engine.events import Loaded
    from llmchat_engine.models.gguf import model_key, read_header
    from llmchat_tui.evaluation.running import Subject

    short, whole = _names(spec)
    name = whole if sum(_names(other)[0] == short for other in all_specs) > 1 else short
    if isinstance(spec, ModelSpec):
        with suppress(ModelError):  # the engine says why, or can load it all the same
            return Subject(name, model_key(spec.path, read_header(spec.path)), engine)
    with closing(engine.load()) as events:
        model = next((event.model for event in events if isinstance(event, Loaded)), None)
    return Subject(name or (model.name if model else ""), model.key if model else "", engine)


def _names(spec: Spec) -> tuple[str, str]:
    """Returns what a model is called, in short and in full."""
    from llmchat_engine import ModelSpec

    if isinstance(spec, ModelSpec):
        return spec.path.stem, str(spec.path)
    short = spec.name or spec.model
    return short, f"{short} at {spec.base_url}"


def _asked(run: Run, subjects: Sequence[Subject], console: Console, interrupts: Interrupts) -> list[Entry]:
    """Asks everything, with progress; the first signal ends it."""
    from llmchat_tui.evaluation.log import Entry

    found: list[Entry] = []
    clock = _Clock()
    with interrupts.watch(run.stop), closing(run.entries(subjects)) as entries:
        for one in entries:
            if isinstance(one, Entry):
                found.append(one)
            else:
                console.status(clock.line(one))
    console.clear_status()
    return found


class _Clock:
    """The rate of a run, and what is left of it."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._before = 0

    def line(self, one: Upcoming) -> str:
        """Returns the line of progress, ahead of a question."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._before = now, one.done
        asked = one.done - self._before
        parts = [f"{one.done + 1:,} of {one.total:,}", f"{one.way.name} · {one.model}", f"item {one.item.id}"]
        if asked:
            each = (now - self._began) / asked
            parts += [f"{each:.1f} s each", f"{_duration(each * (one.total - one.done))} left"]
        return " · ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _log_path(app: App, path: Path) -> Path:
    """Returns the log of a set: one for all ways and models, and another where the set's content is another."""
    from hashlib import sha256

    return app.paths.state_dir / "evals" / f"{path.stem}-{sha256(path.read_bytes()).hexdigest()[:8]}.jsonl"


def _tell_stopped(console: Console, done: int, log: Path) -> None:
    again = shlex.join(["llmchat", *(word for word in sys.argv[1:] if word != "--fresh")])
    console.warn(f"stopped after {done:,} questions, which are kept in {log}")
    console.say(f"it goes on from there with: {again}")


def _check_any(entries: Sequence[Entry]) -> None:
    """Raises where the engine failed on every question."""
    from llmchat_tui.errors import UserError

    if entries and all(entry.error for entry in entries):
        raise UserError("no question was answered", entries[0].error, "llmchat doctor")


def _print(
    app: App, items: Sequence[Item], entries: Sequence[Entry], path: Path, log: Path, flags: dict[str, Any]
) -> None:
    from llmchat_tui.cli.common import print_json, print_rows
    from llmchat_tui.cli.eval_report import facts, kinds, lines, replies, shown
    from llmchat_tui.evaluation.summary import rows_of

    rows = rows_of(entries)
    skipped = sum(item.kind == "none" for item in items)
    chosen = shown(entries, flags["show"] or "")
    if flags["as_json"]:
        print_json(facts(rows, chosen, skipped, str(path), str(log)))
        return
    print_rows(lines(rows, skipped))
    if flags["show"] == "kinds":
        print_rows(kinds(rows))
    print_rows(replies(chosen))
    app.console().info(f"every reply is in {log}")
