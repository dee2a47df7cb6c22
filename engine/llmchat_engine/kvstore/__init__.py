"""The door of the disk store: caches of chats, kept from one host to the next.

A cache is only a cache: whatever is wrong with a file, or with the disk, costs a prefill and a line in the log, and
every byte of a file is checked before any is handed out. Knows nothing of llama.cpp: states are bytes here.
"""

from llmchat_engine.kvstore.budget import default_budget
from llmchat_engine.kvstore.listing import Listing, clear, forget_chat, listing
from llmchat_engine.kvstore.store import KvStore
from llmchat_engine.kvstore.values import Checkpoint, Entry, Stored, common_prefix

__all__ = [
    "Checkpoint",
    "Entry",
    "KvStore",
    "Listing",
    "Stored",
    "clear",
    "common_prefix",
    "default_budget",
    "forget_chat",
    "listing",
]
