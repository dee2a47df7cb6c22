"""`llmchat models perplexity`: how well a model foretells a text.

Knows the flags and what is printed; what is measured is told in the engine's models/quantizing/compare.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.measuring import measuring_options

if TYPE_CHECKING:
    from llmchat_engine.models.quantizing.compare import Side
    from llmchat_engine.models.quantizing.tasks import TextFacts

_EXAMPLE = "llmchat models perplexity model.gguf text.txt"
_FEW = 1000
"""Tokens that count, below which the standard error itself is a rough guess."""


@click.command()
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path))
@measuring_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def perplexity(
    app: App, /, model: str, file: Path, window: int, threads: int | None, gpu_layers: int | None, as_json: bool
) -> None:
    """Measure how well a model foretells a text: lower is better, 1 is perfect.

    FILE is plain text, "-" is stdin. It is read as llama.cpp's llama-perplexity reads it, so that the numbers can be
    compared with those that are published: in windows, of which the second half counts. They depend on text, window
    and vocabulary; compare models on the same text, with the same --ctx, and of the same family.
    """
    from llmchat_engine.models.quantizing.compare import measure_perplexity
    from llmchat_tui.cli.bar import watch
    from llmchat_tui.cli.common import print_json, print_rows
    from llmchat_tui.cli.measuring import text_of
    from llmchat_tui.cli.model_path import engine_places, local_spec
    from llmchat_tui.inputs import as_text

    console = app.console()
    spec = local_spec(app, model, _EXAMPLE, threads=threads, gpu_layers=gpu_layers)
    text = text_of(app, file, console, _EXAMPLE)
    side = watch(console, measure_perplexity(spec, engine_places(app), text, window))
    facts = side.measured.text
    assert facts is not None  # a text was asked for
    if facts.window < window:
        console.warn(f"the text has {facts.tokens:,} tokens: they are one window, smaller than the {window:,} wanted")
    if as_json:
        print_json({"model": str(spec.path), "name": side.name, "file": as_text(str(file)), **text_facts(facts)})
    else:
        print_rows(_told(side, facts))


def text_facts(facts: TextFacts) -> dict[str, object]:
    """Returns what is told of a text's reading in JSON."""
    from llmchat_engine.models.quantizing.compare import perplexity_of

    value, error = perplexity_of(facts)
    return {
        "perplexity": value,
        "perplexity_error": error,
        "nll": facts.nll,
        "nll_error": facts.nll_error,
        "tokens": facts.tokens,
        "scored": facts.scored,
        "window": facts.window,
        "windows": facts.windows,
        "seconds": facts.seconds,
        "tokens_per_second": facts.computed / facts.seconds if facts.seconds > 0 else 0.0,
    }


def text_told(facts: TextFacts) -> str:
    """Returns how much of a text was read."""
    plural = "s" if facts.windows > 1 else ""
    return (
        f"{facts.tokens:,} tokens, {facts.windows:,} window{plural} of {facts.window:,}, {facts.scored:,} tokens count"
    )


def _told(side: Side, facts: TextFacts) -> Iterator[str]:
    from llmchat_engine.models.quantizing.compare import perplexity_of
    from llmchat_tui.cli.compare_chart import perplexity_text
    from llmchat_tui.sanitize import sanitize_line

    value, error = perplexity_of(facts)
    rate = facts.computed / facts.seconds if facts.seconds > 0 else 0.0
    yield f"perplexity {perplexity_text(value)} ± {perplexity_text(error)}   {sanitize_line(side.name)}"
    yield f"{text_told(facts)}; {facts.seconds:,.1f} s, {rate:,.0f} tokens/s"
    if facts.scored < _FEW:
        yield "The text is short: the ± is a standard error, and with so few tokens only roughly known."
