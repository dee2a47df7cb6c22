"""How a reply went, in words: the short line of -u and the block of --verbose. Pure functions of the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmchat_engine import Finished, Loaded, ModelInfo, Sampling, chain_in_words
from llmchat_tui.votes import outcome_of

if TYPE_CHECKING:
    from llmchat_engine import Engine
    from llmchat_engine.prompting.vote import Polled
    from llmchat_tui.turn import Turn

_REASONS = {
    "eog": "the model ended it",
    "stop": "a stop word",
    "max_tokens": "--max-tokens reached",
    "context": "the context is full",
    "cancelled": "stopped",
    "concluded": "told to answer",
}


def usage_line(finished: Finished, remote: str = "") -> str:
    """Returns one line: tokens, what the cache saved, speed; and the server that was asked, where one was."""
    about = "" if finished.exact else "about "
    return (
        (f"asked {remote} · " if remote else "")
        + f"{about}{finished.prompt_tokens:,} prompt ({finished.cached_tokens:,} cached)"
        f" + {finished.reply_tokens:,} reply tokens{_in_answers(finished)}{_thought(finished)}"
        f" · {finished.tokens_per_second:.1f} tok/s"
        f" · first token {finished.time_to_first_token:.2f} s"
        + "".join(f" · {name} {value}" for name, value in _reuse_rows(finished))
    )


def usage_block(
    finished: Finished, model: ModelInfo, load_seconds: float, documents: str = "", polled: Polled | None = None
) -> str:
    """Returns all there is to tell, a line each.

    Args:
        finished: how the reply went.
        model: who wrote it.
        load_seconds: what loading took.
        documents: what they had part in it, where there were any.
        polled: how a vote went, where there was one.
    """
    speed = finished.prefilled_tokens / finished.prefill_seconds if finished.prefill_seconds else 0.0
    about = "" if finished.exact else "about "
    rows = (
        ("model", _model(model)),
        ("runs on", _device(model)),
        *(() if model.remote else (("load", f"{load_seconds:.2f} s" if load_seconds else "was loaded"),)),
        *((("documents", documents),) if documents else ()),
        ("prompt", f"{about}{finished.prompt_tokens:,} tokens, {finished.cached_tokens:,} from the cache"),
        *_reuse_rows(finished),
        ("prefill", f"{finished.prefilled_tokens:,} tokens in {finished.prefill_seconds:.2f} s · {speed:.0f} tok/s"),
        ("first token", f"{finished.time_to_first_token:.3f} s"),
        ("reply", f"{about}{finished.reply_tokens:,} tokens{_in_answers(finished)} in {finished.decode_seconds:.2f} s"),
        *_thought_rows(finished, polled),
        ("decode", f"{finished.tokens_per_second:.1f} tok/s"),
        ("ended by", _REASONS[finished.reason]),
        ("chosen by", _chosen(finished.sampling, model)),
    )
    return "\n".join(f"{name:<12}{value}" for name, value in rows)


def _in_answers(finished: Finished) -> str:
    return f" of {len(finished.answers)} answers" if finished.answers else ""


def _thought(finished: Finished) -> str:
    return f" ({finished.thought_tokens:,} of them thought)" if finished.thought_tokens else ""


def _thought_rows(finished: Finished, polled: Polled | None) -> Iterator[tuple[str, str]]:
    """Yields what was thought before the answer, and how a vote on it went."""
    if finished.thought_tokens:
        took = f" in {finished.thought_seconds:.2f} s" if finished.thought_seconds else ""
        yield "thought", f"{finished.thought_tokens:,} of these tokens{took}"
    if polled:
        yield "votes", f"{outcome_of(polled) or 'no answer'} · {len(polled.chains)} of {polled.total} chains"


def _reuse_rows(finished: Finished) -> Iterator[tuple[str, str]]:
    """Yields what was saved, or had to be done again; nothing where the prompt just went on."""
    if restored := finished.restored:
        milliseconds = restored.seconds * 1000
        yield "restored", f"{restored.tokens:,} tokens from {restored.origin} in {milliseconds:,.0f} ms"
    if finished.shifted_tokens:
        yield "moved up", f"{finished.shifted_tokens:,} tokens"
    if finished.recomputed:
        yield "recomputed", finished.recomputed


def _model(model: ModelInfo) -> str:
    if not model.remote:
        return f"{model.name} · {model.quantization} · {model.n_ctx:,} of {model.n_ctx_train:,} tokens of context"
    return f"{model.name}" + (f" · {model.n_ctx:,} tokens of context" if model.n_ctx else "")


def _chosen(sampling: Sampling, model: ModelInfo) -> str:
    """Returns how tokens are chosen; what was left open, a server decides without telling."""
    if not model.remote:
        return " → ".join(chain_in_words(sampling, model.sampling))
    asked = {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__}
    told = [f"{name} {value}" for name, value in asked.items() if value not in (None, ())]
    return ", ".join(["the server", *told])


def _device(model: ModelInfo) -> str:
    if model.remote:
        return f"{model.remote} · {model.build}"
    if model.gpu_layers and model.devices:
        return f"{', '.join(model.devices)} · {model.gpu_layers} layers"
    return f"CPU · {model.threads} threads"


def chosen_by(turn: Turn, engine: Engine) -> str:
    """Returns how the tokens of a turn's answer would be chosen, stage by stage; loads the model.

    Raises:
        EngineError: it cannot be loaded, or a value is out of range.
    """
    if turn.beams:
        return f"chosen by: {turn.beams} beams, length penalty {turn.length_penalty:g}"
    *_, loaded = engine.load()
    assert isinstance(loaded, Loaded)
    drawn = _chosen(turn.sampling, loaded.model)
    held = turn.recipe.grammar or turn.recipe.schema
    return f"chosen by: {drawn}" + (", again among what the grammar allows where it refuses" if held else "")
