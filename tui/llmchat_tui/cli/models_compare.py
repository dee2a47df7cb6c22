"""`llmchat models compare`: what one model costs and loses against another.

Knows the flags and what is asked for; what is measured is told in the engine's models/quantizing/compare.py, how it is
printed in compare_chart.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.measuring import measuring_options
from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_engine import ModelSpec
    from llmchat_engine.models.quantizing.compare import Side
    from llmchat_engine.types import CacheType
    from llmchat_tui.console import Console

_EXAMPLE = "llmchat models compare model-F16.gguf model-Q4_K_M.gguf"
_KV_EXAMPLE = "llmchat models compare model.gguf --kv-types f16,q8_0,q4_0"
_KV_TYPES: tuple[CacheType, ...] = ("f16", "q8_0", "q4_0")


@dataclass(frozen=True, slots=True)
class _Material:
    """What models are measured with."""

    text: str
    text_name: str
    prompts: tuple[str, ...]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="A [B]...")
@click.option(
    "--text",
    "text_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Text to read; without it a built-in one of some 2,000 tokens.",
)
@click.option(
    "--prompts",
    "prompts_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Prompts to answer: one a line, or JSON lines with a "prompt".',
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 4_096),
    default=64,
    show_default=True,
    metavar="N",
    help="The longest answer.",
)
@click.option(
    "--kv-types",
    metavar="TYPES",
    help="Compare types of the KV cache of one model: f16,q8_0,q4_0, the first with the others.",
)
@measuring_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def compare(
    app: App,
    /,
    models: tuple[str, ...],
    text_file: Path | None,
    prompts_file: Path | None,
    max_tokens: int,
    kv_types: str | None,
    window: int,
    threads: int | None,
    gpu_layers: int | None,
    as_json: bool,
) -> None:
    """Measure models against each other: what A can, and what B loses against it.

    Size, memory, speed and perplexity of each; how far B's predictions are from A's, token by token (KL divergence, how
    often both find the same token the likeliest); and their answers side by side. Name the larger one first: it is what
    the others are compared with. They are measured one after the other; leave the machine alone meanwhile.
    """
    from llmchat_engine.models.quantizing import compare as measuring
    from llmchat_tui.cli.bar import watch
    from llmchat_tui.cli.common import print_json, print_rows
    from llmchat_tui.cli.model_path import engine_places
    from llmchat_tui.paths import private_dir

    console, loading = app.console(), {"threads": threads, "gpu_layers": gpu_layers}
    specs = _specs(app, models, kv_types, loading)
    material = _material(app, text_file, prompts_file, console)
    scratch = private_dir(app.paths.cache_dir)
    work = measuring.compare(
        specs, engine_places(app), material.text, material.prompts,
        window=window, max_tokens=max_tokens, scratch=scratch,
    )  # fmt: skip
    sides = watch(console, work)
    if as_json:
        print_json(_facts(sides, material))
    else:
        print_rows(_told(sides, material, console))


def _specs(app: App, models: Sequence[str], kv_types: str | None, loading: dict[str, Any]) -> list[ModelSpec]:
    """Returns what is compared.

    Raises:
        UsageError: one model alone, or types of the cache of several.
    """
    from dataclasses import replace

    from llmchat_tui.cli.model_path import local_spec

    if kv_types is None and len(models) < 2:
        raise UsageError("one model has nothing to be compared with", "name another, or --kv-types", _EXAMPLE)
    if kv_types is not None and len(models) > 1:
        raise UsageError("--kv-types compares types of one model's cache", f"{len(models)} were named", _KV_EXAMPLE)
    specs = [local_spec(app, model, _EXAMPLE, **loading) for model in models]
    if kv_types is None:
        return specs
    named = {kind.strip() for kind in kv_types.split(",")}
    wanted = sorted((kind for kind in _KV_TYPES if kind in named), key=kv_types.index)
    if len(wanted) < 2 or len(wanted) < len(named):
        raise UsageError(f"--kv-types {kv_types} cannot be used", f"two or more of {', '.join(_KV_TYPES)}", _KV_EXAMPLE)
    return [replace(specs[0], cache_type_k=kind, cache_type_v=kind) for kind in wanted]


def _material(app: App, text_file: Path | None, prompts_file: Path | None, console: Console) -> _Material:
    from llmchat_engine.models.quantizing.compare import PROMPTS, default_text
    from llmchat_tui.cli.measuring import prompts_in, text_of
    from llmchat_tui.inputs import as_text

    text = text_of(app, text_file, console, _EXAMPLE) if text_file else default_text()
    asked = text_of(app, prompts_file, console, _EXAMPLE) if prompts_file else ""
    prompts = prompts_in(asked, str(prompts_file)) if prompts_file else PROMPTS
    return _Material(text, as_text(str(text_file)) if text_file else "the built-in text", prompts)


def _told(sides: Sequence[Side], material: _Material, console: Console) -> Iterator[str]:
    import sys

    from llmchat_tui.cli import compare_chart as chart
    from llmchat_tui.cli.models_perplexity import text_told
    from llmchat_tui.console import terminal_columns
    from llmchat_tui.sanitize import sanitize_line

    yield from chart.legend(sides)
    yield ""
    yield from chart.table(sides)
    yield ""
    yield from chart.charts(sides, color=console.look.color_stdout)
    yield from chart.answers(sides, material.prompts, terminal_columns(sys.stdout))
    if (facts := sides[0].measured.text) is not None:
        yield ""
        yield f"Read: {sanitize_line(material.text_name)}, {text_told(facts)}. The ± are standard errors."


def _facts(sides: Sequence[Side], material: _Material) -> dict[str, Any]:
    """Returns everything that was measured."""
    return {
        "text": material.text_name,
        "prompts": list(material.prompts),
        "models": [_side_facts(side) for side in sides],
    }


def _side_facts(side: Side) -> dict[str, Any]:
    from msgspec import to_builtins

    from llmchat_tui.cli.models_perplexity import text_facts

    measured = side.measured
    return {
        "name": side.name,
        "path": str(side.spec.path),
        "quantization": measured.quantization,
        "cache_type_k": side.spec.cache_type_k,
        "cache_type_v": side.spec.cache_type_v,
        "size": side.size,
        "bits": side.bits,
        "memory": measured.peak_memory,
        "load_seconds": measured.load_seconds,
        "prefill_tokens_per_second": measured.text.prefill if measured.text else None,
        "decode_tokens_per_second": measured.decode or None,
        "reading": text_facts(measured.text) if measured.text else None,
        "divergence": to_builtins(measured.divergence),
        "why_no_divergence": measured.why_no_divergence,
        "answers": [{"text": said.text, "tokens": said.tokens, "complete": said.complete} for said in side.answers],
    }
