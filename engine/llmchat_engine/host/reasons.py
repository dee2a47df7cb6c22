"""Why tokens that a chat had computed once were computed again, in words for the user. Knows how many, not which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmchat_engine.events import Finished
from llmchat_engine.host.template_pieces import END_OF_THOUGHT
from llmchat_engine.types import Request

if TYPE_CHECKING:
    from llmchat_engine.host.prompt import Prompt

WORTH_TELLING = 64
"""Tokens; fewer are computed in a tenth of a second."""
HEADER = 8
"""Tokens that can stand between the place where a thought began and the answer that now comes first."""


def why_computed_again(request: Request, prompt: Prompt, finished: Finished) -> str:
    """Returns why a chat that goes on did not begin where it had ended; nothing where it did, or nothing is known.

    Args:
        request: what was asked.
        prompt: its ids, and where each message begins in them.
        finished: how much of them was cached.
    """
    said = request.messages[request.shared : -1]  # examples were said by nobody
    replies = [message for message in said if message.role == "assistant"]
    again = prompt.before(len(request.messages) - 1) - finished.cached_tokens
    if not replies or again < WORTH_TELLING:
        return ""
    if finished.cached_tokens <= max(0, prompt.starts[0]):
        return "the chat was not in the cache"
    reach = [finished.cached_tokens + HEADER * (message.thought_tokens > 0) for message in request.messages]
    begun = (index for index, start in enumerate(prompt.starts) if 0 <= start <= reach[index])
    message = request.messages[max(begun, default=0)]
    if message.role == "system":
        return "the system prompt is another one"
    if message.role == "assistant" and (END_OF_THOUGHT in message.text or message.thought_tokens > 0):
        return "an earlier thought has left the context"
    return "the chat was in the cache only in part"
