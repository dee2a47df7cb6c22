"""A model in memory with all that belongs to it, wired together once after it was loaded.

Knows no jobs and no sockets; what each part does is told in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_engine import sampling
from llmchat_engine.events import Prefill, Restored
from llmchat_engine.host.cache import SequenceCache, Want
from llmchat_engine.host.context import N_OUTPUTS_MAX, Context, Shape
from llmchat_engine.host.decode import Decoder
from llmchat_engine.host.idle import Idle
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.host.parking import Parking
from llmchat_engine.host.sequences import Kind, Sequences
from llmchat_engine.host.thinking import ThoughtPlan, plan_thought, settled
from llmchat_engine.kvstore import KvStore
from llmchat_engine.protocol import Load
from llmchat_engine.types import ModelInfo, Request

if TYPE_CHECKING:
    from llmchat_engine.host.peeking import Peeker
    from llmchat_engine.host.prompt import PieceIds, Prompt
    from llmchat_engine.host.scoring import Read, Scorer
    from llmchat_engine.host.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Prompter:
    """What makes prompts of requests."""

    template: ChatTemplate
    pieces: PieceIds

    def prompt(self, request: Request) -> Prompt:
        """Returns the prompt of a request.

        Raises:
            RequestInvalid: there is nothing to complete.
            TemplateError: the model's template failed.
        """
        from llmchat_engine.host.prompt import build_prompt

        return build_prompt(request, self.template, self.pieces)


@dataclass(frozen=True, slots=True)
class Residents:
    """The model, its context, and what works on them."""

    model: Model
    context: Context
    prompter: Prompter
    decoder: Decoder
    idle: Idle
    info: ModelInfo

    @property
    def cache(self) -> SequenceCache:
        """The sequences."""
        return self.decoder.cache

    def begin(
        self, request: Request, concluded: Collection[int] = (), *, drawn: bool = False
    ) -> tuple[Prompt, ThoughtPlan | None]:
        """Returns the prompt of a request, and what is known of the thought behind it.

        Args:
            request: what is asked.
            concluded: the answers whose thought is to be closed, by index.
            drawn: whether a reply is drawn token by token; else what it would begin with by force ends the prompt.

        Raises:
            RequestInvalid: there is nothing to complete, or a budget cannot be kept.
            TemplateError: the model's template failed.
        """
        prompt = self.prompter.prompt(request)
        plan = plan_thought(request, prompt, self.prompter.template.thoughts, concluded)
        if plan is None or drawn:
            return prompt, plan
        lead, plan = settled(plan, self.model.vocab.piece)
        return replace(prompt, ids=prompt.ids + lead), plan

    def scorer(self, want: Want) -> Scorer:
        """Returns what scores texts; `want` says whose they are."""
        from llmchat_engine.host.scoring import Scorer

        rows = min(N_OUTPUTS_MAX, self.context.n_batch)
        return Scorer(self.context, self._reader(want), self.model.vocab.shown, rows)

    def peeker(self, want: Want) -> Peeker:
        """Returns what tells the tokens that could come next; `want` says whose they are."""
        from llmchat_engine.host.peeking import Peeker

        return Peeker(self.model, self.context, self._reader(want))

    def _reader(self, want: Want) -> Read:
        from llmchat_engine.host.scoring import Ground

        def read(ids: Sequence[int], cells: int) -> Generator[Restored | Prefill, None, Ground | None]:
            taken = yield from self.decoder.feeder.read(list(ids), replace(want, room=cells))
            if len(self.cache.ids) < len(ids):
                return None
            return Ground(self.cache.active.number, self.cache.spare(), taken.cached)

        return read


def settle(llama: Llama, model: Model, order: Load, repack: bool, log: Callable[[str], None]) -> Residents:
    """Returns everything around a model that was just loaded.

    Args:
        llama: the library.
        model: the weights.
        order: what was asked for.
        repack: whether weights were repacked.
        log: takes lines.

    Raises:
        NotEnoughMemory: the context does not fit.
    """
    from llmchat_engine.host.prompt import PieceIds

    context = Context(llama, model, Shape.of(order))
    template, pieces = template_of(model, order.model_key), PieceIds(model.vocab)
    info = _describe(llama, model, context, template, order, repack)
    kind = Kind(context.n_batch, model.n_swa, not model.is_recurrent, context.n_seq)
    parking = Parking(order.memory_budget, _store(order, context, info, log), log)
    cache = SequenceCache(Sequences(context, kind, parking))
    decoder = Decoder(llama, model, context, cache)
    prompter = Prompter(template, pieces)
    return Residents(model, context, prompter, decoder, Idle(cache, prompter.prompt, decoder.feeder.compute), info)


def template_of(model: Model, model_key: str) -> ChatTemplate:
    """Returns a new template of the model; each belongs to one thread."""
    from llmchat_engine.host.template import ChatTemplate
    from llmchat_engine.host.thought_forms import thought_form

    vocab, source = model.vocab, model.chat_template
    bos, eos, thoughts = vocab.text(vocab.bos), vocab.text(vocab.eos), thought_form(source, vocab)
    return ChatTemplate(source, bos=bos, eos=eos, model_key=model_key, thoughts=thoughts)


def _store(order: Load, context: Context, info: ModelInfo, log: Callable[[str], None]) -> KvStore | None:
    if not order.kv_dir:
        return None
    key = sha256(f"{info.key} {info.build} {context.layout}".encode()).hexdigest()
    return KvStore(Path(order.kv_dir), key, order.kv_budget, log, name=info.name)


def _describe(
    llama: Llama, model: Model, context: Context, template: ChatTemplate, order: Load, repack: bool
) -> ModelInfo:
    metadata = model.metadata()
    path = Path(order.path)
    offload = llama.supports_gpu() and order.gpu_layers != 0
    layers = model.n_layer + 1 if order.gpu_layers < 0 else min(order.gpu_layers, model.n_layer + 1)
    return ModelInfo(
        key=order.model_key,
        name=path.stem if path.suffix.lower() == ".gguf" else metadata.get("general.name") or path.name,
        path=str(path),
        architecture=metadata.get("general.architecture", ""),
        quantization=model.quantization,
        size=path.stat().st_size,
        n_params=model.n_params,
        n_vocab=model.vocab.size,
        n_ctx=context.n_ctx,
        n_ctx_train=model.n_ctx_train,
        threads=order.threads,
        gpu_layers=layers if offload else 0,
        devices=llama.devices(),
        extra_buffers=repack,
        template=template.kind,
        template_key=template.key,
        sampling=sampling.model_defaults(metadata),
        build=f"llama.cpp {llama.version()}",
        thinks=template.thoughts is not None,
    )
