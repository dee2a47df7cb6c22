"""The JSON object of `ask --json`. Documented field by field in docs/json.md; a change of meaning raises `version`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmchat_tui.cli.talk import Outcome
    from llmchat_tui.turn import Turn

VERSION = 1


def envelope(outcome: Outcome, turn: Turn, warnings: Sequence[str]) -> str:
    """Returns one line of JSON and its line break. The outcome must have a reply."""
    finished, model, begun = outcome.finished, outcome.model, outcome.begun
    if finished is None or model is None or begun is None:
        raise ValueError("the turn has no reply")
    restored = finished.restored
    content = {
        "version": VERSION,
        "conversation_id": begun.conversation_id,
        "question_id": begun.question_id,
        "reply_id": begun.reply_id,
        "kept": not turn.private,
        "system": turn.system,
        "prompt": turn.question,
        "reply": finished.text,
        "stop_reason": finished.reason,
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
        "token_ids": list(finished.token_ids),
        "warnings": [*warnings, *outcome.notices],
    }
    return msgspec.json.encode(content).decode() + "\n"
