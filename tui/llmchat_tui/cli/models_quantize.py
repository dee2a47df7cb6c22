"""`llmchat models quantize`: a smaller model out of a large one, whole or not at all.

Knows the flags and what is printed; the work is the engine's models/quantizing/quantize.py.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_engine.models.quantizing.types import TYPES
from llmchat_tui.cli.app import App

if TYPE_CHECKING:
    from llmchat_engine.models.quantizing.quantize import Quantized, QuantPlan, QuantType
    from llmchat_tui.console import Console

_EXAMPLE = "llmchat models quantize model-F16.gguf --type int4"
_TYPES_TOLD = "\b\nTypes, with the bits a weight of an 8B model:\n" + "\n".join(
    f"  {kind.word:<8}{kind.bits:>6.2f}  {kind.about}" for kind in TYPES
)


@click.command(epilog=_TYPES_TOLD)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@click.option("--type", "word", required=True, metavar="TYPE", help="INT4, INT8, or one of those below.")
@click.option("--dry-run", is_flag=True, help="Tell the size and what would be lost; write nothing.")
@click.option("--allow-requantize", is_flag=True, help="Also from weights that were rounded already.")
@click.option("--force", is_flag=True, help="Replace OUT where it is there.")
@click.option("--threads", type=click.IntRange(0, 4_096), default=0, metavar="N", help="CPU threads; 0 is all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def quantize(
    app: App,
    /,
    source: str,
    target: Path | None,
    word: str,
    dry_run: bool,
    allow_requantize: bool,
    force: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Make a smaller model out of a large one.

    IN is a name or the path of a GGUF file. Without OUT the new file gets its name with the type in it, beside IN or,
    where that is another program's place, among the models of llmchat. What was stopped leaves nothing behind.
    """
    from llmchat_engine.models.quantizing.quantize import check_target, plan, type_of
    from llmchat_engine.models.quantizing.quantize import quantize as quantized
    from llmchat_tui.cli.bar import watch
    from llmchat_tui.cli.common import print_json, print_rows
    from llmchat_tui.cli.model_path import file_of

    console, kind, path = app.console(), type_of(word), file_of(app, source, _EXAMPLE)
    out = target or default_target(app, path, kind)
    if dry_run:
        check_target(path, out, force=True)  # what is there already is no reason not to tell the size
        planned = plan(path, kind)
        _warn(console, planned.requantized, planned.fallbacks, allowed=allow_requantize)
        if as_json:
            print_json({"source": str(path), "path": str(out), **_plan_facts(planned, kind)})
        else:
            print_rows([_size_told(out, planned.size_before, planned.size, planned.bits)])
        return
    work = quantized(path, out, kind, allow_requantize=allow_requantize, force=force, threads=threads)
    made = watch(console, work)
    _warn(console, made.requantized, made.fallbacks, allowed=True)
    if as_json:
        print_json({"source": str(path), **_facts(made)})
    else:
        print_rows(_told(app, path, made))


def default_target(app: App, source: Path, kind: QuantType) -> Path:
    """Returns where a model goes whose user named no place.

    Beside its source where that folder is the user's own; what lies in another program's store stays as it is.
    """
    from llmchat_engine.models.library import find_models
    from llmchat_engine.models.quantizing.quantize import target_name

    models_dir, folder = app.paths.models_dir, source.parent
    others = [one.path for one in find_models(models_dir, app.environ) if one.origin not in ("models", "path")]
    # Both where the file lies and where a link to it does: the Hugging Face cache keeps links to its blobs.
    foreign = {os.path.realpath(place.parent) for path in others for place in (path, Path(os.path.realpath(path)))}
    try:
        own = folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK)
    except OSError:
        own = False
    return (folder if own and os.path.realpath(folder) not in foreign else models_dir) / target_name(source, kind)


def _warn(console: Console, requantized: tuple[str, ...], fallbacks: Mapping[str, int], *, allowed: bool) -> None:
    if requantized:
        how = "" if allowed else "; that takes --allow-requantize"
        kinds = ", ".join(requantized)
        console.warn(f"weights of {kinds} are rounded once more, which loses more than doing it from F16{how}")
    if fallbacks:
        counts = ", ".join(f"{count:,} to {name}" for name, count in sorted(fallbacks.items()))
        console.warn(f"rows of some tensors do not fit the type, so these fell back: {counts}")


def _told(app: App, source: Path, made: Quantized) -> Iterator[str]:
    """Yields the result, and what can be done with it."""
    from llmchat_tui.sanitize import sanitize_line

    size = _size_told(made.path, made.size_before, made.size_after, made.bits)
    yield f"{size}, {made.seconds:,.1f} s"
    small, large = (shlex.quote(sanitize_line(_called(app, path))) for path in (made.path, source))
    yield f"try it:      llmchat ask -m {small} 'Who are you?'"
    yield f"measure it:  llmchat models compare {large} {small}"


def _called(app: App, path: Path) -> str:
    """Returns what a model can be named by: its name where it lies among ours, else its path."""
    models_dir = app.paths.models_dir
    return path.stem if models_dir in path.parents else str(path)


def _size_told(path: Path, before: int, after: int, bits: float) -> str:
    from llmchat_tui.progress_words import size_text
    from llmchat_tui.sanitize import sanitize_line

    part = f"{after / max(1, before):.0%} of {size_text(before)}"
    return f"{sanitize_line(str(path))}: {size_text(after)}, {part}, {bits:.2f} bits a weight"


def _plan_facts(planned: QuantPlan, kind: QuantType) -> dict[str, object]:
    return {
        "type": kind.word,
        "size_before": planned.size_before,
        "size_after": planned.size,
        "bits": planned.bits,
        "tensors": len(planned.tensors),
        "fallbacks": dict(planned.fallbacks),
        "requantized": list(planned.requantized),
    }


def _facts(made: Quantized) -> dict[str, object]:
    return {
        "path": str(made.path),
        "type": made.kind.word,
        "size_before": made.size_before,
        "size_after": made.size_after,
        "bits": made.bits,
        "seconds": made.seconds,
        "tensors": made.tensors,
        "fallbacks": dict(made.fallbacks),
        "requantized": list(made.requantized),
    }
