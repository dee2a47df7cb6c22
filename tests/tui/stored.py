"""Chats to test with."""

from __future__ import annotations

from llmchat_tui.history import History, ReplyEnd


def add_turn(history: History, question: str, answer: str, conversation_id: str = "", **settings: object) -> str:
    """Adds a question and its answer at the end of a chat, and returns the chat's id."""
    parent = history.conversation(conversation_id).leaf_id if conversation_id else ""
    begun = history.begin(question, conversation_id=conversation_id, parent_id=parent)
    end = ReplyEnd(answer, "complete", token_ids=(1, 2, 3), model_key="key", settings=dict(settings), stats={"n": 3})
    history.finish(begun.reply_id, end)
    return begun.conversation_id
