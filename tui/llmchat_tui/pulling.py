"""Which files of a repository are pulled to this machine, and why these: the words of `llmchat pull` before it begins.

Headless; downloads nothing and asks no network. What fits is told from sizes alone: headers are not here yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmchat_engine import HubMissing, NotEnoughMemory
from llmchat_tui.progress_words import size_text

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.types import HubFile, HubRepo, Reference, Variant

Fits = Literal["yes", "tight", "no", ""]
_SMALL, _HEADS, _CACHE = 135e6, 270, 23e3
"""Of SmolLM2-135M: parameters, heads of all layers, bytes of cache for a token."""
_GROWTH = 0.45
"""How both grow with the parameters: 8 billion have 1,024 heads and 131 kB, and this says 1,700 and 144."""
_CELLS = 4096
"""Half of the context that is chosen where nobody asks for one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be pulled."""

    repo: HubRepo
    files: tuple[HubFile, ...]
    variant: Variant | None
    """None for an embedding or a re-ranking model, of which all is pulled that is needed."""
    among: int = 0
    """So many variants there were."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def call(self) -> str:
        """What `llmchat pull` takes to get the same again."""
        quant = self.variant.quant if self.variant else ""
        if not self.variant:
            return self.repo.name
        return f"{self.repo.name}/{self.files[0].path}" if quant == "?" else f"{self.repo.name}:{quant}"


def choose(repo: HubRepo, reference: Reference, machine: Machine) -> Chosen:
    """Returns what of a repository is pulled: what was named, else the best for this machine.

    Raises:
        HubMissing: it holds no model of ours, or none of that name.
        NotEnoughMemory: nothing was named, and nothing fits.
    """
    from llmchat_engine.models.fit.machine import room_of
    from llmchat_engine.models.hub.kinds import files_to_pull
    from llmchat_engine.models.hub.quants import best_variant, named_variant, needed

    if repo.kind in ("embedder", "reranker"):
        return Chosen(repo, files_to_pull(repo), None)
    found = variants_of(repo)
    if reference.quant or reference.file:
        return chosen_of(repo, found, named_variant(found, reference))
    best = best_variant(found, room_of(machine), machine.bandwidth)
    if best is None:
        least = min(found, key=lambda variant: variant.size)
        free = size_text(free_bytes(machine))
        why = f"the smallest needs about {size_text(needed(least.size))}, and {free} are free for it and all else"
        hint = f"choose a smaller model: llmchat pull; to have it all the same: llmchat pull {repo.name}:{least.quant}"
        raise NotEnoughMemory(f"no model of {repo.name} fits this machine", why, hint)
    return chosen_of(repo, found, best)


def variants_of(repo: HubRepo) -> tuple[Variant, ...]:
    """Returns the models of a repository, the largest first.

    Raises:
        HubMissing: it has none.
    """
    from llmchat_engine.models.hub.quants import variants

    found = variants(repo.files)
    if not found:
        hint = f"llmchat models search {repo.name.rpartition('/')[2]}"
        raise HubMissing(f"{repo.name} holds no whole model in GGUF files", "", hint)
    return found


def chosen_of(repo: HubRepo, found: Sequence[Variant], variant: Variant) -> Chosen:
    """Returns one variant of a repository as what is to be pulled."""
    return Chosen(repo, variant.files, variant, len(found))


def fits(size: int, machine: Machine) -> Fits:
    """Returns whether a model of this size would fit; empty where the size is not known.

    It is tight where the rest of the machine would feel it.
    """
    from llmchat_engine.models.fit.machine import room_of
    from llmchat_engine.models.hub.quants import needed

    if size <= 0:
        return ""
    need = needed(size)
    return "yes" if need <= room_of(machine) else "tight" if need <= free_bytes(machine) else "no"


def free_bytes(machine: Machine) -> int:
    """Returns the bytes that are free where a model would go: on the cards, or in the memory."""
    from llmchat_engine.models.fit.machine import room_of

    return max(machine.free.bytes, room_of(machine))


def speed(size: int, quant: str, machine: Machine) -> float:
    """Returns about how many tokens a second a model would write, as plan.py tells it once its header is here.

    Args:
        size: of what is read for a token, in bytes; 0 is not known.
        quant: as in a variant.
        machine: what it would run on.

    Returns:
        0 where that cannot be told.
    """
    if size <= 0 or machine.bandwidth <= 0:
        return 0.0
    from llmchat_engine.models.fit.speed import HEAD, OTHER_WORK, WORK
    from llmchat_engine.models.hub.quants import expected_size

    kind = quant.removeprefix("UD-")
    work = next((each for name, each in WORK.items() if kind.startswith(name)), OTHER_WORK)
    parameters = size * 1e9 / (expected_size(10**9, quant) or 0.6e9)
    shape: float = (parameters / _SMALL) ** _GROWTH
    weights = size / machine.bandwidth + size / (machine.threads * work)
    cache = _CELLS * shape * (_HEADS * HEAD / machine.threads + _CACHE / machine.bandwidth)
    return 1.0 / (weights + cache)


def why(chosen: Chosen, machine: Machine) -> str:
    """Returns what is pulled and why: "Q4_K_M of 11: 2.5 GB, fits with 9.8 GB free, about 11 tok/s"."""
    from llmchat_tui.model_card import speed_text

    if chosen.variant is None:
        kind = "an embedding model" if chosen.repo.kind == "embedder" else "a re-ranking model"
        return f"{kind}: {size_text(chosen.size)} in {len(chosen.files)} files"
    free = f"{size_text(free_bytes(machine))} free"
    fit = {"yes": f"fits with {free}", "tight": f"fits tightly: {free}", "no": f"does not fit: {free}", "": ""}
    told = speed_text(speed(chosen.size, chosen.variant.quant, machine)) if fits(chosen.size, machine) != "no" else ""
    of = f" of {chosen.among}" if chosen.among > 1 else ""
    parts = [size_text(chosen.size), fit[fits(chosen.size, machine)], told and f"about {told}"]
    return f"{chosen.variant.quant}{of}: {', '.join(filter(None, parts))}"
