"""`llmchat bench`: how fast this machine answers, and how little of a chat it computes twice.

Knows the flags and what is printed; a round is in bench_round.py, what comes of it in bench_ratios.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import print_json, print_rows
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.cli.options import model_flags, model_options

if TYPE_CHECKING:
    from llmchat_engine import ModelSpec
    from llmchat_tui.cli.bench_depths import Floor
    from llmchat_tui.cli.bench_report import Ratios, Report
    from llmchat_tui.cli.bench_round import Round

Progress = Callable[[str], None]
_ROUNDS = 3
_LOCAL = "llmchat bench FILE.gguf"


@click.command()
@click.argument("model", required=False, default="")
@click.option(
    "-m",
    "--model",
    "named",
    default="",
    metavar="MODEL",
    shell_complete=complete_model,
    help="The same as MODEL, as in other commands.",
)
@model_options
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Times to measure; 3 without it.")
@click.option("--quick", is_flag=True, help="One round.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every value.")
@click.pass_obj
def bench(app: App, /, model: str, named: str, rounds: int | None, quick: bool, as_json: bool, **flags: Any) -> None:
    """Measure this machine: prefill, decode, and a chat of ten turns.

    Beside each value stands the best that the memory of this machine would allow. A small model takes two minutes, a
    large one many; worth nothing while anything else runs.
    """
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.cli.model_path import local_spec

    spec = local_spec(app, model or named, _LOCAL, **model_flags(flags))
    console = app.console()
    try:
        with catch_signals():  # what they raise has the host leave, and its directory go
            report = run_bench(app, spec, rounds or (1 if quick else _ROUNDS), console.status)
    finally:
        console.clear_status()
    if as_json:
        print_json(report)
    else:
        print_rows(_lines(report))


def run_bench(app: App, spec: ModelSpec, rounds: int, progress: Progress) -> Report:
    """Measures everything, each in every round, and returns the report.

    Raises:
        EngineError: the model cannot be run.
    """
    from llmchat_tui.cli.bench_ratios import add_round, ratios
    from llmchat_tui.cli.bench_report import Report, Samples, bench_model, now, this_machine, versions_of
    from llmchat_tui.cli.bench_round import run_round
    from llmchat_tui.paths import private_dir

    machine, samples = this_machine(), Samples()
    found: list[Round] = []
    progress("how fast is the memory?")
    bandwidth = measured_bandwidth(spec)
    samples.add("memory bandwidth", "GB/s", bandwidth / 1e9)
    for number in range(rounds):
        told = _told(progress, f"round {number + 1} of {rounds}: ")
        found.append(run_round(spec, private_dir(app.paths.state_dir), number, told))
        add_round(samples, found[-1], floor_of(spec, found[-1], bandwidth))
    info = found[-1].info
    return Report(machine, now(), versions_of(info), bench_model(info), samples.rows(), ratios(found))


def measured_bandwidth(spec: ModelSpec) -> float:
    """Returns the bytes a second that the threads of decode read from memory."""
    from llmchat_engine.models.fit.cpu import cpu_threads
    from llmchat_tui.cli.bench_depths import memory_bandwidth

    return memory_bandwidth(spec.threads or cpu_threads())


def floor_of(spec: ModelSpec, measured: Round, bandwidth: float) -> Floor:
    """Returns the best that the machine could do with this model, at the prefill speed of this round."""
    from llmchat_engine.models.fit.need import kv_bytes_per_token
    from llmchat_engine.models.gguf import read_header
    from llmchat_tui.cli.bench_depths import Floor

    per_token = kv_bytes_per_token(read_header(spec.path), spec.cache_type_k, spec.cache_type_v)
    return Floor(bandwidth, measured.info.size, per_token, measured.depths)


def _told(progress: Progress, before: str) -> Progress:
    return lambda text: progress(before + text)


def _lines(report: Report) -> list[str]:
    from llmchat_tui.cli.bench_report import table

    machine, used = report.machine, report.model
    heads = [
        f"{machine.cpu}, {machine.cores} cores, load {machine.load:g}",
        f"{used.name}, {used.threads} threads, {used.n_ctx:,} tokens of context; median (lowest to highest)",
        "",
    ]
    return [*heads, *table(report.rows), "", *(_ratio_lines(report.ratios) if report.ratios else [])]


def _ratio_lines(found: Ratios) -> list[str]:
    equal = "the same tokens as without" if found.reopen_bit_equal else "OTHER tokens than without"
    return [
        f"turn 10       {found.turn10_ttft:.2f} of the time that its new tokens and one step take at that depth",
        f"regenerate    {found.regenerate_steps:.1f} decode steps after 10 ms",
        f"switch back   {found.switch_back_tokens:,} tokens computed",
        f"reopen        {found.reopen:.4f} of a prefill of the whole chat; the restart gives {equal}",
    ]
