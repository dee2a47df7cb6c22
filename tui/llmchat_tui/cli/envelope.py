"""The JSON object of `ask --json`. Documented field by field in docs/json.md; a change of meaning raises `version`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

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
        "answers": _answers(outcome),
        **_model_facts(outcome),
        "documents": _documents(outcome),
        "token_ids": list(finished.token_ids) if finished else [],
        "warnings": [*warnings, *outcome.notices],
    }
    return msgspec.json.encode(content).decode() + "\n"


def _answers(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns all answers where several were asked for."""
    if outcome.begun is None or outcome.finished is None:
        return []
    return [
        {
            "reply_id": reply_id,
            "reply": answer.text,
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
        },
        "sampling": asdict(finished.sampling),
        "usage": {
            "prompt_tokens": finished.prompt_tokens,
            "cached_tokens": finished.cached_tokens,
            "prefilled_tokens": finished.prefilled_tokens,
            "reply_tokens": finished.reply_tokens,
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
            "tokens_per_second": round(finished.tokens_per_second, 2),
        },
    }


def _documents(outcome: Outcome) -> dict[str, Any] | None:
    if outcome.retrieval is None:
        return None
    from llmchat_tui.cli.sources import documents_facts

    return documents_facts(outcome)
