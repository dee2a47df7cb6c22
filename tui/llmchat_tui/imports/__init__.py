"""Chats from files: our own JSON export, ChatGPT's download, `llm logs --json`.

Bytes in, values out: knows no database, no terminal and no path. What a file says is data, and may be hostile.
"""

from llmchat_tui.imports.reading import MAX_BYTES, read_export
from llmchat_tui.imports.values import Chat, Imported

__all__ = ["MAX_BYTES", "Chat", "Imported", "read_export"]
