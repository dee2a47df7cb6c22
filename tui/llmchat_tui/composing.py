"""What the model is given: the path of messages with what was left out of it, and the request for a summary of that.

Runs no engine and counts nothing; the texts are data.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmchat_engine import Message, Request, Sampling
from llmchat_engine.prompting.few_shot import as_messages, as_text, open_question
from llmchat_tui.history.values import StoredMessage
from llmchat_tui.overflow import summary_tokens
from llmchat_tui.recipe import PLAIN, Recipe

_TASK = (
    "Summarise the conversation below for somebody who goes on with it. Keep names, numbers, decisions and open"
    " questions. Write a few sentences and nothing else."
)
_HEADING = "Summary of the earlier conversation:"
_PART_TOKENS = 384
"""Some ten sentences about a part of a document."""
_SPEAKERS = {"user": "User", "assistant": "Assistant"}


def compose(
    system: str,
    earlier: Sequence[StoredMessage],
    question: str,
    *,
    left_out: int = 0,
    summary: str = "",
    documents: str = "",
    recipe: Recipe = PLAIN,
    raw: bool = False,
) -> tuple[Message, ...]:
    """Returns the path of messages that the model is given; replies carry their own ids.

    Args:
        system: the system prompt.
        earlier: the path that the question follows, oldest first.
        question: the newest question.
        left_out: so many messages of the path, from the first one on, are left out.
        summary: stands in their place, behind the system prompt.
        documents: the block that stands before the newest question, in its message.
        recipe: whose examples stand behind the system prompt; the question has the words around it already.
        raw: whether the model completes text, and the examples are text.
    """
    whole = "\n\n".join(part for part in (system, f"{_HEADING}\n{summary}" if summary else "") if part)
    first = (Message("system", whole),) if whole else ()
    path = tuple(_as_sent(earlier, index) for index in range(left_out, len(earlier)) if is_sent(earlier[index]))
    if raw and recipe.shots and not path:
        question = open_question(question)
    question = f"{documents}\n\n{question}" if documents else question
    return (*first, *examples(recipe, raw), *path, Message("user", question))


def examples(recipe: Recipe, raw: bool = False) -> tuple[Message, ...]:
    """Returns the messages that a recipe's examples are; for a base model one text."""
    reasoned = recipe.cot == "few-shot"
    if raw:
        return (Message("user", as_text(recipe.shots, recipe.wrapped, reasoned=reasoned)),) if recipe.shots else ()
    return as_messages(recipe.shots, recipe.wrapped, reasoned=reasoned)


def _as_sent(path: Sequence[StoredMessage], index: int) -> Message:
    """Returns one message of a path as the model was given it: the reply behind a question knows how it was asked."""
    stored = path[index]
    if stored.role == "user":
        following = path[index + 1] if index + 1 < len(path) else None
        return Message("user", (following and following.sent) or stored.text)
    return Message("assistant", stored.text, stored.token_ids, stored.model_key, stored.thought_tokens)


def is_sent(stored: StoredMessage) -> bool:
    """Returns whether the model is given a message: a reply without a word is none."""
    return stored.role == "user" or bool(stored.text)


def part_request(prompt: str, n_ctx: int, request_id: str, stop: tuple[str, ...] = ()) -> Request:
    """Returns the request about a part of a document; it belongs to no chat and leaves nothing in the cache.

    Args:
        prompt: the part, and what is asked of it.
        n_ctx: the context that its answer takes an eighth of at most.
        request_id: what cancels it.
        stop: what ends it where the model writes it.
    """
    sampling = Sampling(temperature=0.0, max_tokens=part_tokens(n_ctx), stop=stop)
    return Request((Message("user", prompt),), sampling, private=True, id=request_id)


def part_tokens(n_ctx: int) -> int:
    """Returns the length of the longest answer about a part of a document."""
    return min(_PART_TOKENS, n_ctx // 8)


def summary_request(gone: Sequence[StoredMessage], before: str, n_ctx: int, request_id: str) -> Request:
    """Returns the request that has messages summarised; it belongs to no chat and leaves nothing in the cache.

    Args:
        gone: the messages.
        before: the summary of what stood in front of them; empty where nothing did.
        n_ctx: the context that its answer takes an eighth of at most.
        request_id: what cancels it.
    """
    said = [f"{_SPEAKERS[message.role]}: {message.text}" for message in gone if is_sent(message)]
    text = "\n\n".join([_TASK, *([f"{_HEADING}\n{before}"] if before else []), *said])
    sampling = Sampling(temperature=0.0, max_tokens=summary_tokens(n_ctx))
    return Request((Message("user", text),), sampling, private=True, id=request_id)
