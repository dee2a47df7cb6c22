"""The JSON object of `ask --json`. Documented field by field in docs/json.md; a change of meaning raises `version`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from llmchat_tui.growing import packed_vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmchat_tui.cli.talk import Outcome
    from llmchat_tui.turn import Turn

VERSION = 1


def envelope(outcome: Outcome, turn: Turn, warnings: Sequence[str]) -> str:
    """Returns one line of JSON and its line break. The outcome must have an answer."""
    begun = outcome.begun
    if outcome.text is None or begun is None:
        raise ValueError("the turn has no reply")
    finished = outcome.finished
    content = {
        "version": VERSION,
        "conversation_id": begun.conversation_id,
        "question_id": begun.question_id,
        "reply_id": begun.reply_id,
        "kept": not turn.private,
        "system": turn.system,
        "prompt": turn.question,
        "reply": outcome.text,
        "stop_reason": finished.reason if finished else "abstained",
        "complete": finished.complete if finished else True,
        **_asked(outcome, turn),
        "thought": finished.thought if finished else "",
        "votes": packed_vote(outcome.polled) if outcome.polled else None,
        "answers": _answers(outcome),
        **_model_facts(outcome),
        "documents": _documents(outcome),
        "token_ids": list(finished.token_ids) if finished else [],
        "logprobs": _logprobs(outcome),
        "warnings": [*warnings, *outcome.notices],
    }
    return msgspec.json.encode(content).decode() + "\n"


def _asked(outcome: Outcome, turn: Turn) -> dict[str, Any]:
    """Returns how it was asked, and whether the answer is as it had to be."""
    from llmchat_tui.cli.form_check import is_valid

    recipe = turn.recipe
    return {
        "recipe": {
            "template": recipe.template,
            "shots": len(recipe.shots),
            "cot": recipe.cot,
            "votes": recipe.votes,
            "think": recipe.think,
            "think_budget": recipe.think_budget,
            "keep_thoughts": recipe.keep_thoughts,
        },
        "sent": turn.asks,
        "schema": msgspec.json.decode(recipe.schema) if recipe.schema else None,
        "schema_valid": is_valid(outcome.finished, recipe.schema) if outcome.finished else None,
    }


def _logprobs(outcome: Outcome) -> list[Any] | None:
    if not outcome.logprobs:
        return None
    from llmchat_tui.cli.logprobs import as_json

    return as_json(outcome.logprobs)


def _answers(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns all answers where several were asked for."""
    if outcome.begun is None or outcome.finished is None:
        return []
    return [
        {
            "reply_id": reply_id,
            "reply": answer.text,
            "thought": answer.thought,
            "stop_reason": answer.reason,
            "complete": answer.complete,
            "reply_tokens": answer.tokens,
            "token_ids": list(answer.token_ids),
            "seed": answer.seed,
            "logprob": answer.logprob,
        }
        for reply_id, answer in zip(outcome.begun.reply_ids, outcome.finished.answers, strict=False)
    ]


def _model_facts(outcome: Outcome) -> dict[str, Any]:
    """Returns what a model had part in it; null where it was not asked."""
    finished, model = outcome.finished, outcome.model
    if finished is None or model is None:
        return {"model": None, "sampling": None, "usage": None, "timing": None}
    restored = finished.restored
    return {
        "model": {
            "name": model.name,
            "key": model.key,
            "path": model.path,
            "quantization": model.quantization,
            "n_ctx": model.n_ctx,
            "template": model.template,
            "remote": model.remote,
        },
        "sampling": asdict(finished.sampling),
        "usage": {
            "prompt_tokens": finished.prompt_tokens,
            "cached_tokens": finished.cached_tokens,
            "prefilled_tokens": finished.prefilled_tokens,
            "reply_tokens": finished.reply_tokens,
            "thought_tokens": finished.thought_tokens,
            "exact": finished.exact,
            "restored_tokens": restored.tokens if restored else 0,
            "restored_from": restored.origin if restored else "",
            "shifted_tokens": finished.shifted_tokens,
            "recomputed": finished.recomputed,
        },
        "timing": {
            "load_seconds": round(outcome.load_seconds, 4),
            "restore_seconds": round(restored.seconds, 4) if restored else 0.0,
            "prefill_seconds": round(finished.prefill_seconds, 4),
            "time_to_first_token": round(finished.time_to_first_token, 4),
            "decode_seconds": round(finished.decode_seconds, 4),
            "thought_seconds": round(finished.thought_seconds, 4),
            "tokens_per_second": round(finished.tokens_per_second, 2),
        },
    }


def _documents(outcome: Outcome) -> dict[str, Any] | None:
    if outcome.retrieval is None:
        return None
    from llmchat_tui.cli.sources import documents_facts

    return documents_facts(outcome)
