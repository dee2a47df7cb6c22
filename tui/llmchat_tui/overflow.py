"""What becomes of a chat that does not fit into the context: which turns leave it, and what is said about that.

Counts and words only: asks no engine, writes nothing. Whole turns go, the oldest first; the newest question never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmchat_engine import ContextFull, EngineError, Message
from llmchat_tui.errors import UserError
from llmchat_tui.history.values import StoredMessage

Overflow = Literal["ask", "drop", "stop", "summarize"]
"""Raise and let the user choose; leave the oldest turns out; end with an error; put a summary in their place."""

LEAST_RESERVE = 256
"""Tokens that are kept free for a reply, where half of the context is not less."""
SUMMARY_TOKENS = 256
"""The longest summary."""
_SUMMARY_FRAME = 24
"""The words around a summary, and what the template puts around a system prompt that was none before."""
_TURN = 2
"""Messages of a turn: a question and its reply."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model sees of a path: all but the first `left_out` messages, and a summary of those, if there is one."""

    left_out: int = 0
    summary: str = ""


def seen_of(path: Sequence[StoredMessage], least: Seen = Seen()) -> Seen:
    """Returns what the model sees of a path: what was left out once stays so.

    Args:
        path: the messages, the first question first; its newest reply that saw less than all of it decides.
        least: so much is left out at least.
    """
    told = next((Seen(message.left_out, message.summary) for message in reversed(path) if message.left_out), Seen())
    seen = least if least.left_out > told.left_out else told
    whole_turns = min(seen.left_out, len(path)) // _TURN * _TURN
    return Seen(whole_turns, seen.summary) if whole_turns else Seen()


def reserve_of(max_tokens: int | None, n_ctx: int) -> int:
    """Returns how many tokens are kept free for the reply."""
    return min(max(LEAST_RESERVE, max_tokens or 0), n_ctx // 2)


def summary_tokens(n_ctx: int) -> int:
    """Returns the length of the longest summary: an eighth of a small context."""
    return min(SUMMARY_TOKENS, n_ctx // 8)


def summary_room(n_ctx: int) -> int:
    """Returns how many tokens a prompt may grow by its summary."""
    return summary_tokens(n_ctx) + _SUMMARY_FRAME


def most_tokens(messages: Sequence[Message], model_key: str) -> int:
    """Returns how many tokens texts can take, without asking anybody: no tokeniser makes more than one of a byte."""
    return sum(
        len(message.token_ids) if message.model_key == model_key and message.token_ids else _bytes(message.text)
        for message in messages
    )


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Plan:
    """Which turns leave the context so that the next reply has room; lengths in tokens."""

    left_out: int
    """All that the model will not see: so many messages of the path, from the first one on."""
    turns: int
    """Whole turns that leave now."""
    frees: int
    """What they take."""
    needs: int
    """What the newest question takes, with the room that is kept for its reply."""
    free: int
    """What the context has left for that as it is."""
    n_ctx: int
    prompt: int
    """What the prompt takes once they have left."""

    @property
    def fits(self) -> bool:
        """Whether the rest fits: the system prompt, the newest question and a token of reply always stay."""
        return self.prompt < self.n_ctx


def plan(
    turns: Sequence[int], newest: int, total: int, *, n_ctx: int, reserve: int, left_out: int = 0, extra: int = 0
) -> Plan | None:
    """Returns which turns must leave; None where the reply has room, or where nothing can leave and the rest fits.

    Once turns must leave, so many do that the prompt takes at most three quarters of what is not reserved: the next
    turns fit without another cut, and each cut makes the model read again.

    Args:
        turns: the tokens of each turn that the model sees, the oldest first.
        newest: the tokens of the newest question, and of what the reply begins with.
        total: the tokens of the whole prompt.
        n_ctx: the context.
        reserve: the tokens that are kept free for the reply.
        left_out: how many messages were left out before.
        extra: tokens that come into the prompt in their place.
    """
    if total + reserve <= n_ctx:
        return None
    room = (n_ctx - reserve) * 3 // 4 - extra
    gone = frees = 0
    for tokens in turns:
        if total - frees <= room:
            break
        gone, frees = gone + 1, frees + tokens
    if not gone and total < n_ctx:
        return None
    free = max(0, n_ctx - (total - newest))
    return Plan(left_out + gone * _TURN, gone, frees, newest + reserve, free, n_ctx, total - frees)


class ContextOverflow(UserError):
    """The next turn fits only if older ones leave the context, and the user is to choose. Nothing was recorded."""

    exit_code = 4

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            "the context is full",
            f"the message and the room for its reply need {plan.needs:,} tokens; {plan.free:,} of {plan.n_ctx:,} are"
            " free",
            _ways(plan),
        )
        self.plan = plan


class ChatFull(ContextFull):
    """The next turn fits only if older ones leave the context, and they are to stay."""

    def __init__(self, plan: Plan) -> None:
        tokens = plan.prompt + plan.frees
        super().__init__(tokens, plan.n_ctx)
        # The words of the base tell of a prompt that nothing could be taken from.
        EngineError.__init__(
            self,
            "the chat does not fit into the context",
            f"its prompt has {tokens:,} tokens, the context holds {plan.n_ctx:,} and the message with the room for its"
            f" reply needs {plan.needs:,}; {plan.free:,} are free",
            _ways(plan),
        )


def _ways(plan: Plan) -> str:
    turns = "the oldest turn" if plan.turns == 1 else f"the {plan.turns:,} oldest turns"
    return (
        f"--overflow drop leaves out {turns} ({plan.frees:,} tokens), --overflow summarize puts a summary in the place"
    )
