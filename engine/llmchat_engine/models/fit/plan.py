"""How a model is loaded on this machine: its context, the layers on cards, whether it fits, about how fast it writes.

Pure arithmetic on a header and on what machine.py found; loads nothing.

With a card of its own memory: all layers go there where weights, cache and buffers fit into what is free less 1 GiB.
Where they do not, a context that nobody asked for is shortened first, down to 4,096: a layer that stays behind costs
every token, at a tenth of a card's speed, and few chats are longer. Where that is not enough the context stays as long
as the memory allows, and as many of the last layers go to the card as fit, which is how llama.cpp counts them: the
output is the last. Where not even that one fits, the model stays on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.need import (
    AUTO_CONTEXT,
    CONTEXT_STEP,
    LEAST_CONTEXT,
    Need,
    cells_of,
    choose_context,
    compute_bytes,
    kv_bytes_per_token,
    memory_needed,
    size_text,
    state_bytes,
)
from llmchat_engine.models.fit.speed import tokens_per_second
from llmchat_engine.models.fit.weights import layer_bytes, output_bytes
from llmchat_engine.models.gguf import Header

Fits = Literal["yes", "tight", "no"]

TIGHT = 0.85
"""Part of the free memory from which other programs begin to feel it."""
CARD_CONTEXT = 4096
"""The shortest context that is chosen so that all layers fit on a card."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model would be loaded. Sizes in bytes."""

    n_ctx: int
    gpu_layers: int
    """As llama.cpp counts them, with the output as one more layer; -1 is all of them."""
    need: Need
    """What it would take on the CPU alone."""
    card_bytes: int
    """What lies on cards."""
    machine_bytes: int
    """What has to stay in the machine's memory."""
    fits: Fits
    why: str
    """For `tight` and `no`."""
    tokens_per_second: float
    """About; 0 where it is not known: never measured, or all on a card."""


def plan(
    header: Header,
    machine: Machine,
    *,
    n_ctx: int = 0,
    gpu_layers: int = -1,
    cache_type_k: str = "f16",
    cache_type_v: str = "f16",
    repacked: int = 0,
) -> Plan:
    """Returns how a model would be loaded.

    Args:
        header: The model.
        machine: What there is.
        n_ctx: The context that was asked for; 0 chooses one.
        gpu_layers: The layers that were asked for; -1 chooses as many as fit, 0 leaves all on the CPU.
        cache_type_k: Type of the cached keys.
        cache_type_v: Type of the cached values.
        repacked: What `repacked_bytes` said.
    """
    types = cache_type_k, cache_type_v
    if machine.cards and gpu_layers:
        planned = _on_cards(_Layout.of(header, types), machine, n_ctx, gpu_layers)
        if planned is not None:
            return planned
        gpu_layers = 0
    return _on_cpu(header, machine, n_ctx, gpu_layers, types, repacked)


def _on_cpu(
    header: Header, machine: Machine, wanted: int, gpu_layers: int, types: tuple[str, str], repacked: int
) -> Plan:
    fits: Fits
    try:
        n_ctx = choose_context(header, wanted, machine.free, *types)
        need = memory_needed(header, n_ctx, *types, repacked=repacked)
        why = _why_tight(header, machine, wanted, n_ctx, need.least)
        fits = "tight" if why else "yes"
    except NotEnoughMemory as error:
        n_ctx = wanted or min(LEAST_CONTEXT, header.context_length)
        need = memory_needed(header, n_ctx, *types, repacked=repacked)
        fits, why = "no", error.why
    speed = tokens_per_second(header, machine.bandwidth, machine.threads, n_ctx, *types)
    return Plan(n_ctx, gpu_layers, need, 0, need.least, fits, why, speed)


def _why_tight(header: Header, machine: Machine, wanted: int, chosen: int, least: int) -> str:
    """Returns why a model that fits just fits; nothing where there is plenty."""
    if not wanted and chosen < min(header.context_length, AUTO_CONTEXT):
        return f"there is room for a context of {chosen:,} tokens"
    if least > TIGHT * machine.free.bytes:
        return f"it takes {size_text(least)} of {size_text(machine.free.bytes)} that are free"
    return ""


@dataclass(frozen=True, slots=True)
class _Layout:
    """What of a model lies where, for any number of layers on cards: as llama.cpp counts them, the output the last."""

    header: Header
    types: tuple[str, str]
    layers: tuple[int, ...]
    output: int

    @classmethod
    def of(cls, header: Header, types: tuple[str, str]) -> _Layout:
        return cls(header, types, layer_bytes(header), output_bytes(header))

    @property
    def everything(self) -> int:
        return len(self.layers) + 1

    def card(self, n_ctx: int, count: int) -> int:
        """Returns what lies on cards: weights, their share of the cache, buffers."""
        if count <= 0:
            return 0
        # A card computes attention in parts: flash attention is on there.
        buffers = compute_bytes(self.header, n_ctx, flash=True)
        return self._moved(count) + self.output + self._cache(n_ctx, count) + buffers

    def machine(self, n_ctx: int, count: int) -> int:
        """Returns what stays in the machine's memory."""
        need = memory_needed(self.header, n_ctx, *self.types)
        buffers = compute_bytes(self.header, n_ctx, flash=True)
        return need.weights - self._moved(count) + need.kv - self._cache(n_ctx, count) + buffers + need.runtime

    def most(self, room: int, n_ctx: int) -> int:
        """Returns the most layers that fit into the room on the cards."""
        return next((count for count in range(self.everything, 0, -1) if self.card(n_ctx, count) <= room), 0)

    def _moved(self, count: int) -> int:
        return sum(self.layers[self.everything - count :])

    def _cache(self, n_ctx: int, count: int) -> int:
        whole = cells_of(n_ctx) * kv_bytes_per_token(self.header, *self.types) + state_bytes(self.header)
        return whole * (count - 1) // len(self.layers)


def _on_cards(layout: _Layout, machine: Machine, wanted: int, layers: int) -> Plan | None:
    """Returns the plan with layers on cards; None where none fits."""
    header = layout.header
    if layers < 0:
        n_ctx, layers = _chosen(layout, machine, wanted)
    else:
        n_ctx, layers = wanted or min(header.context_length, AUTO_CONTEXT), min(layers, layout.everything)
    if not layers:
        return None
    on_card, behind = layout.card(n_ctx, layers), layout.machine(n_ctx, layers)
    fits, why = _judged(layout, machine, layers, on_card, behind)
    left = layout.everything - layers
    speed = tokens_per_second(header, machine.bandwidth, machine.threads, n_ctx, *layout.types, layers=left)
    return Plan(n_ctx, layers, memory_needed(header, n_ctx, *layout.types), on_card, behind, fits, why, speed)


def _chosen(layout: _Layout, machine: Machine, wanted: int) -> tuple[int, int]:
    """Returns the context and the layers on cards."""
    longest = wanted or min(layout.header.context_length, AUTO_CONTEXT)
    lengths = [longest] if wanted else list(range(longest, 0, -CONTEXT_STEP))
    for n_ctx in lengths:
        if n_ctx < min(longest, CARD_CONTEXT):
            break
        if layout.card(n_ctx, layout.everything) <= machine.card_room:
            return n_ctx, layout.everything
    found = ((n_ctx, layout.most(machine.card_room, n_ctx)) for n_ctx in lengths)
    fitting = ((n_ctx, count) for n_ctx, count in found if layout.machine(n_ctx, count) <= machine.free.bytes)
    return next(fitting, (longest, layout.most(machine.card_room, longest)))


def _judged(layout: _Layout, machine: Machine, layers: int, on_card: int, behind: int) -> tuple[Fits, str]:
    """Returns whether both parts fit where they go."""
    free, cards = machine.free.bytes, sum(card.free for card in machine.cards)
    if behind > free:
        return "no", f"{size_text(behind)} of it stay in memory, and {size_text(free)} are free"
    if on_card > cards:
        return "no", f"{layers} layers need {size_text(on_card)} on the card, and {size_text(cards)} are free there"
    if layers < layout.everything:
        return "tight", f"{layers} of {layout.everything} layers fit on the card"
    if behind > TIGHT * free:
        return "tight", f"it takes {size_text(behind)} of {size_text(free)} that are free"
    return "yes", ""
