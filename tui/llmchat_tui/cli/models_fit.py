"""`llmchat models fit`: what a model takes on this machine at several contexts, and about how fast it would write.

Reads headers and loads nothing. What `llmchat ask` would choose comes from the plan that it loads by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.columns import Column, room_of_stdout, table
from llmchat_tui.cli.common import print_json, print_rows
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine import ModelSpec
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.fit.plan import Plan
    from llmchat_engine.models.gguf import Header
    from llmchat_tui.cli.ls import Row

_LEAST = 2048
_PAIRS = ("f16", "q8_0")
_CACHE_TYPES = click.Choice(("f16", "q8_0", "q4_0"))
_COLUMNS = (
    Column("context", right=True),
    Column("cache type"),
    Column("weights", right=True, drops=3),
    Column("cache", right=True, drops=2),
    Column("buffers", right=True, drops=4),
    Column("total", right=True),
    Column("layers on cards", right=True),
    Column("on cards", right=True),
    Column("fits"),
    Column("about", right=True),
)
_MODELS = (
    Column("name", least=20),
    Column("size", right=True, drops=1),
    Column("quant", least=4, drops=2),
    Column("takes", right=True),
    Column("fits"),
    Column("about", right=True),
    Column("why", least=16, drops=3),
)


@click.command()
@click.argument("model", default="", shell_complete=complete_model)
@click.option("--ctx", type=click.IntRange(1, 2**31 - 1), metavar="N", help="Only this context, in tokens.")
@click.option("--cache-type-k", type=_CACHE_TYPES, help="Only this type of keys in the KV cache.")
@click.option("--cache-type-v", type=_CACHE_TYPES, help="Only this type of values in it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def fit(
    context: click.Context,
    model: str,
    ctx: int | None,
    cache_type_k: str | None,
    cache_type_v: str | None,
    as_json: bool,
) -> None:
    """Tell whether MODEL fits into the memory of this machine, and about how fast it would be.

    MODEL is a name, a unique part of one, an alias or a path; without it, all models on this machine. What is told is
    an estimate: of memory within a few per cent, of speed within about a third where nothing else runs.
    """
    from llmchat_engine.models.fit.machine import read_machine

    app = context.ensure_object(App)
    if not model:
        _tell_all(app, as_json)
        return
    spec = _spec(app, model, ctx, cache_type_k, cache_type_v)
    machine = read_machine(app.paths.state_dir)
    pairs = ((spec.cache_type_k, spec.cache_type_v),) if cache_type_k or cache_type_v else ()
    one = _OneModel(spec, machine, ctx or 0, pairs or tuple((kind, kind) for kind in _PAIRS))
    print_json(one.facts()) if as_json else print_rows(sanitize_line(line) for line in one.lines())


def _spec(app: App, model: str, ctx: int | None, cache_type_k: str | None, cache_type_v: str | None) -> ModelSpec:
    from llmchat_engine import ModelSpec
    from llmchat_engine.types import CacheType
    from llmchat_tui.errors import UsageError

    kinds: dict[str, CacheType] = {kind: kind for kind in get_args(CacheType)}
    spec = app.spec(
        model, ctx=ctx, cache_type_k=kinds.get(cache_type_k or ""), cache_type_v=kinds.get(cache_type_v or "")
    )
    if not isinstance(spec, ModelSpec):
        raise UsageError(f"{model} is on a server", "what it takes there cannot be told from here", "llmchat ls")
    return spec


class _OneModel:
    """One model and the ways to load it."""

    def __init__(self, spec: ModelSpec, machine: Machine, ctx: int, pairs: Sequence[tuple[str, str]]) -> None:
        from llmchat_engine.models.fit.repack import cpu_features, repacked_bytes
        from llmchat_engine.models.gguf import read_header

        self.spec, self.machine, self.pairs = spec, machine, pairs
        self.header: Header = read_header(spec.path)
        self.contexts = (ctx,) if ctx else contexts_of(self.header.context_length)
        self._repacked = repacked_bytes(self.header, cpu_features())

    def plan(self, n_ctx: int, type_k: str, type_v: str) -> Plan:
        """Returns how it would be loaded."""
        from llmchat_engine.models.fit.plan import plan

        return plan(
            self.header,
            self.machine,
            n_ctx=n_ctx,
            gpu_layers=self.spec.gpu_layers,
            cache_type_k=type_k,
            cache_type_v=type_v,
            repacked=self._repacked,
        )

    @property
    def chosen(self) -> Plan:
        """What a question would load it with."""
        return self.plan(self.spec.n_ctx, self.spec.cache_type_k, self.spec.cache_type_v)

    def ways(self) -> Iterator[tuple[str, str, Plan]]:
        """Yields the types of the cache and the plan of each row."""
        for n_ctx in self.contexts:
            yield from ((type_k, type_v, self.plan(n_ctx, type_k, type_v)) for type_k, type_v in self.pairs)

    def lines(self) -> Iterator[str]:
        """Yields what is printed for people."""
        from llmchat_tui.progress_words import size_text

        header = self.header
        yield from _machine_lines(self.machine)
        yield ""
        trained = f"trained for {header.context_length:,} tokens"
        yield f"{self.spec.path.stem}: {size_text(header.file_size)}, {header.quantization}, {trained}"
        if self._repacked:
            yield f"weights: {size_text(self._repacked)} of them are copied into a layout of this CPU's own"
        yield ""
        rows = [_cells(type_k, type_v, plan) for type_k, type_v, plan in self.ways()]
        yield from table(_COLUMNS, rows, room_of_stdout())
        yield ""
        yield _chosen_line(self.chosen, self.header.block_count + 1)

    def facts(self) -> dict[str, Any]:
        """Returns the same as numbers."""
        header, spec = self.header, self.spec
        return {
            "machine": _machine_facts(self.machine),
            "model": {
                "name": spec.path.stem,
                "path": str(spec.path),
                "size": header.file_size,
                "quantization": header.quantization,
                "context": header.context_length,
                "layers": header.block_count + 1,
            },
            "chosen": _way_facts(spec.cache_type_k, spec.cache_type_v, self.chosen),
            "ways": [_way_facts(*way) for way in self.ways()],
        }


def contexts_of(trained: int) -> tuple[int, ...]:
    """Returns the contexts that are told of: doubling from 2,048 to the one that the model was trained for."""
    shorter: list[int] = []
    while _LEAST << len(shorter) < trained:
        shorter.append(_LEAST << len(shorter))
    return (*shorter, trained)


def _cells(type_k: str, type_v: str, plan: Plan) -> list[str]:
    from llmchat_tui.model_card import speed_text
    from llmchat_tui.progress_words import size_text

    need = plan.need
    return [
        f"{plan.n_ctx:,}",
        type_k if type_k == type_v else f"{type_k}/{type_v}",
        size_text(need.weights + need.repacked),
        size_text(need.kv),
        size_text(need.compute + need.runtime),
        size_text(need.total),
        str(plan.gpu_layers) if plan.card_bytes else "",
        size_text(plan.card_bytes) if plan.card_bytes else "",
        plan.fits,
        speed_text(plan.tokens_per_second) if plan.fits != "no" else "",
    ]


def _machine_lines(machine: Machine) -> Iterator[str]:
    from llmchat_tui.progress_words import size_text

    yield f"memory     {size_text(machine.free.bytes)} free, limited by {machine.free.limited_by}"
    for card in machine.cards:
        yield f"card       {card.name}: {size_text(card.free)} of {size_text(card.total)} free"
    if not machine.cards:
        unknown = "this build is for one, and it could not be asked"
        yield f"card       {unknown if machine.card_unknown else 'none that this build of llama.cpp would use'}"
    speed = f"{machine.bandwidth / 1e9:.0f} GB/s are read by {machine.threads} threads"
    yield f"bandwidth  {speed if machine.bandwidth else 'could not be measured'}"


def _chosen_line(plan: Plan, layers: int) -> str:
    """Returns what a question would load the model with."""
    from llmchat_tui.model_card import speed_text
    from llmchat_tui.progress_words import size_text

    if plan.fits == "no":
        return f"llmchat ask would refuse it: {plan.why}"
    where = f", {plan.gpu_layers} of {layers} layers on cards ({size_text(plan.card_bytes)})" if plan.card_bytes else ""
    speed = speed_text(plan.tokens_per_second)
    about = f", about {speed}" if speed else ""
    tight = f": {plan.why}" if plan.why else ""
    return f"llmchat ask would take a context of {plan.n_ctx:,} tokens{where}{about}{tight}"


def _tell_all(app: App, as_json: bool) -> None:
    from llmchat_engine.models.fit.machine import read_machine
    from llmchat_tui.cli.ls import rows_of

    rows = rows_of(app)
    machine = read_machine(app.paths.state_dir, measure=False)
    if as_json:
        print_json({"machine": _machine_facts(machine), "models": [_row_facts(row) for row in rows]})
        return
    cells = [_row_cells(row) for row in rows]
    lines = table(_MODELS, cells, room_of_stdout()) if rows else ["there is no model yet: llmchat pull"]
    print_rows([*(sanitize_line(line) for line in _machine_lines(machine)), "", *lines])


def _row_cells(row: Row) -> list[str]:
    from llmchat_tui.model_card import speed_text
    from llmchat_tui.progress_words import size_text

    plan = None if row.problem else row.plan
    return [
        row.model.name,
        size_text(row.size),
        row.brief.quantization,
        size_text(plan.need.total) if plan else "",
        plan.fits if plan else "broken",
        speed_text(plan.tokens_per_second) if plan and plan.fits != "no" else "",
        row.problem or (plan.why if plan else ""),
    ]


def _row_facts(row: Row) -> dict[str, Any]:
    return {
        "name": row.model.name,
        "path": str(row.model.path),
        "size": row.size,
        "quantization": row.brief.quantization,
        "problem": row.problem,
        "chosen": _plan_facts(row.plan) if row.plan else None,
    }


def _machine_facts(machine: Machine) -> dict[str, Any]:
    return {
        "free": machine.free.bytes,
        "limited_by": machine.free.limited_by,
        "cards": [
            {"name": card.name, "kind": card.kind, "free": card.free, "total": card.total} for card in machine.cards
        ],
        "card_unknown": machine.card_unknown,
        "bandwidth": machine.bandwidth or None,
        "threads": machine.threads,
    }


def _way_facts(type_k: str, type_v: str, plan: Plan) -> dict[str, Any]:
    return {"cache_type_k": type_k, "cache_type_v": type_v, **_plan_facts(plan)}


def _plan_facts(plan: Plan) -> dict[str, Any]:
    need = plan.need
    return {
        "context": plan.n_ctx,
        "weights": need.weights,
        "repacked": need.repacked,
        "cache": need.kv,
        "buffers": need.compute,
        "runtime": need.runtime,
        "total": need.total,
        "gpu_layers": plan.gpu_layers,
        "on_cards": plan.card_bytes,
        "in_memory": plan.machine_bytes,
        "fits": plan.fits,
        "why": plan.why,
        "tokens_per_second": plan.tokens_per_second or None,
    }
