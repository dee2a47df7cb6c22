"""Conversations on disk: the only package that knows SQL, and the only owner of the message tree.

Knows nothing of the engine, of screens or of exit codes. Import from here, not from the files behind it.
"""

from llmchat_tui.history.rows import title_of
from llmchat_tui.history.store import History
from llmchat_tui.history.values import Begun, Conversation, Hit, Node, ReplyEnd, ReplyStatus, Role, StoredMessage
from llmchat_tui.history.whole import check_tree

__all__ = [
    "Begun",
    "Conversation",
    "History",
    "Hit",
    "Node",
    "ReplyEnd",
    "ReplyStatus",
    "Role",
    "StoredMessage",
    "check_tree",
    "title_of",
]
