"""`llmchat bench`: how fast this machine answers. Our own rows alone, through the same door as every question.

Knows the order of the rounds; how a thing is measured is in bench_rates.py and bench_children.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import print_json, print_rows

if TYPE_CHECKING:
    from llmchat_engine import Engine, ModelSpec
    from llmchat_tui.cli.bench_children import Asker
    from llmchat_tui.cli.bench_report import Report, Samples

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long the prompts and replies are, in tokens."""

    prompts: tuple[int, ...] = (512, 1500)
    replies: tuple[int, ...] = (200, 1500)


@click.command()
@click.option("-m", "--model", default="", metavar="MODEL", help="Name, unique part of one, or path of a GGUF file.")
@click.option("--threads", type=click.IntRange(0), metavar="N", help="CPU threads; 0 is the physical cores.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="Times to measure.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every value.")
@click.pass_obj
def bench(app: App, model: str, threads: int | None, rounds: int, as_json: bool) -> None:
    """Measure this machine: prefill, decode, first answer.

    Takes some minutes, and is worth nothing while anything else runs.
    """
    from llmchat_tui.cli.bench_report import table

    spec = app.spec(model, ctx=None, gpu_layers=None, threads=threads)
    console = app.console()
    report = run_bench(app, spec, rounds, Sizes(), console.status)
    console.clear_status()
    if as_json:
        print_json(report)
        return
    machine, used = report.machine, report.model
    heads = [
        f"{machine.cpu}, {machine.cores} cores, load {machine.load:g}",
        f"{used.name}, {used.threads} threads, median of {rounds} (lowest to highest)",
        "",
    ]
    print_rows([*heads, *table(report.rows)])


def run_bench(app: App, spec: ModelSpec, rounds: int, sizes: Sizes, progress: Progress) -> Report:
    """Measures everything, each in every round, and returns the report.

    Raises:
        EngineError: the model cannot be run.
        UserError: a command that is measured failed.
    """
    from llmchat_tui.cli.bench_children import QUESTIONS, asking
    from llmchat_tui.cli.bench_rates import load, private_engine, short_directory
    from llmchat_tui.cli.bench_report import Report, Samples, bench_model, now, this_machine, versions_of
    from llmchat_tui.paths import private_dir

    machine, samples = this_machine(), Samples()
    with private_engine(spec, private_dir(app.paths.state_dir)) as engine:
        info = load(engine)
        engine_rounds(engine, samples, rounds, sizes, progress)
    flags = ["-m", str(spec.path), "--threads", str(spec.threads)]
    with short_directory() as home, asking(home, flags, app.environ) as asker:
        for number in range(rounds):
            progress(f"first answers, round {number + 1} of {rounds}")
            children_round(asker, samples, QUESTIONS[number % len(QUESTIONS)])
    return Report(machine, now(), versions_of(info), bench_model(info), samples.rows())


def engine_rounds(engine: Engine, samples: Samples, rounds: int, sizes: Sizes, progress: Progress) -> None:
    """Measures prefill and decode, after one run of each that does not count."""
    from llmchat_tui.cli.bench_rates import STORY, find_seed, measure, prompt_of

    progress("warming up")
    seeds = {tokens: find_seed(engine, STORY, tokens) for tokens in sizes.replies}
    for number in range(rounds):
        progress(f"prefill and decode, round {number + 1} of {rounds}")
        for tokens in sizes.prompts:
            reply = measure(engine, prompt_of(engine, tokens, number), 1, seed=1)
            samples.add(f"prefill of {tokens:,} tokens", "tokens/s", reply.prefill_rate)
        for tokens in sizes.replies:
            reply = measure(engine, STORY, tokens, seeds[tokens])
            note = "" if reply.complete else f"the model stopped after {reply.tokens:,} tokens"
            samples.add(f"decode of {tokens:,} tokens", "tokens/s", reply.decode_rate, note)
            samples.add(f"outside llama_decode, {tokens:,} tokens", "ms/token", reply.overhead_ms, note)


def children_round(asker: Asker, samples: Samples, question: str) -> None:
    """Measures the commands once each."""
    samples.add("first byte of a cold ask", "s", asker.cold(question))
    samples.add("first byte of a warm ask", "s", asker.warm(question))
    samples.add("--help, more than python -c pass", "ms CPU", asker.help_cpu())
