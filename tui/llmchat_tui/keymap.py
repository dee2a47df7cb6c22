"""Every action of the chat: its id, the keys it has unless config.toml says otherwise, its words, where it works.

Knows no screen and imports no toolkit: the config checks `[keys]` against this table, the screens make bindings of it,
the help page and the footer are written from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Place = Literal["anywhere", "prompt", "message", "drafts", "chats", "models", "documents"]

_MODIFIERS = frozenset({"ctrl", "alt", "shift", "super"})
_NAMED = frozenset(
    {"enter", "escape", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown", "up"}
    | {"down", "left", "right", "slash", "question_mark", "plus", "minus", "comma", "full_stop", "colon", "semicolon"}
    | {"underscore", "backslash", "tilde", "asterisk", "ampersand", "apostrophe", "at"}
    | {f"f{number}" for number in range(1, 25)}
)
_SAME_AS = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+h": "backspace", "ctrl+left_square_bracket": "escape"}
"""What older terminals cannot tell apart: binding the one takes the other away."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a key can do."""

    id: str
    """Its name in `[keys]` of config.toml."""
    keys: str
    """Comma-separated, as the toolkit names keys."""
    label: str
    """One or two words for the footer."""
    help: str
    """A sentence for the help page."""
    place: Place
    footer: bool = True
    """Whether the footer shows it."""


ACTIONS: tuple[Action, ...] = (
    Action("send", "enter", "send", "Send the message; while a reply streams, queue it.", "prompt"),
    Action("newline", "ctrl+j,alt+enter,shift+enter", "newline", "Begin a new line.", "prompt"),
    Action("older_prompt", "alt+up", "earlier", "Take an earlier message of yours.", "prompt", False),
    Action("newer_prompt", "alt+down", "later", "Take a later message of yours.", "prompt", False),
    Action("editor", "ctrl+g", "editor", "Write the message in $VISUAL or $EDITOR.", "prompt", False),
    Action(
        "undo", "ctrl+underscore,ctrl+slash,ctrl+shift+minus", "undo", "Undo; Ctrl+Y does it again.", "prompt", False
    ),
    Action("messages", "up", "messages", "Up on the first line walks into the messages.", "prompt"),
    Action("again", "r", "again", "Have the question answered once more; the old answer is kept.", "message"),
    Action("edit", "e", "edit", "Change a question and ask again, or a reply and go on from it.", "message"),
    Action("continue_reply", "c", "continue", "Have the reply go on exactly where it ended.", "message"),
    Action("sources", "s", "sources", "Show what the reply stands on, passage by passage.", "message"),
    Action("chains", "v", "votes", "Show the chains of thought that voted on the reply.", "message", False),
    Action("tokens", "t", "tokens", "Show how likely each token was, and branch from another one.", "message"),
    Action("rate_up", "plus", "good", "Rate the reply as good; once more takes that away.", "message", False),
    Action("rate_down", "minus", "bad", "Rate the reply as bad, with a note if you like.", "message", False),
    Action("branch", "b", "branch", "Let the next question follow this reply.", "message"),
    Action("copy_message", "y", "copy", "Copy the message.", "message"),
    Action("next_code", "u", "next code", "Select the next code block; y then copies it.", "message"),
    Action(
        "previous_sibling",
        "left",
        "version before",
        "Show the version before this one, as in ‹ 2/3 ›.",
        "message",
        False,
    ),
    Action("next_sibling", "right", "next version", "Show the version of it behind this one.", "message", False),
    Action("unfold", "enter", "unfold", "Show all of a message and of its thought, or fold it.", "message", False),
    Action("previous_message", "k,up", "up", "Go to the message before.", "message", False),
    Action("next_message", "j,down", "down", "Go to the next message, or back to the prompt.", "message", False),
    Action("first_message", "g,home", "first", "Go to the first message.", "message", False),
    Action("last_message", "G,end", "last", "Go to the last message.", "message", False),
    Action("choose_draft", "enter", "go on with it", "Go on with this draft; 1 to 9 choose by number.", "drafts"),
    Action("next_draft", "right,l,tab", "next", "Go to the next draft.", "drafts"),
    Action("previous_draft", "left,h,shift+tab", "before", "Go to the draft before.", "drafts", False),
    Action("stop_draft", "x", "stop", "Stop this draft; the others go on.", "drafts"),
    Action("copy_draft", "y", "copy", "Copy the draft.", "drafts"),
    Action("open_chat", "enter", "open", "Open the chat.", "chats"),
    Action("rename_chat", "r", "rename", "Give the chat another title.", "chats"),
    Action("delete_chat", "d,delete", "delete", "Delete the chat; it can be undone for ten seconds.", "chats"),
    Action("undo_delete", "u", "undo", "Take back the last deletion.", "chats"),
    Action("search_field", "slash", "search", "Go to the search field.", "chats"),
    Action("use_model", "enter", "use", "Use the model from now on.", "models"),
    Action("model_details", "i", "details", "Everything that the file tells of the model.", "models"),
    Action("search_hub", "h", "hub", "Search huggingface.co for models, and pull one.", "models"),
    Action("default_model", "d", "default", "Use the model, now and at every start.", "models"),
    Action("verify_model", "v", "verify", "Read all of the file, and tell whether it is intact.", "models"),
    Action("remove_model", "x,delete", "remove", "Remove a model that llmchat pulled; stop a download.", "models"),
    Action("resume_pull", "r", "go on", "Go on with a download that was stopped or failed.", "models"),
    Action("filter_models", "slash", "filter", "Go to the field: a filter, what to pull, or a path.", "models", False),
    Action("use_collection", "enter", "use", "Answer the chat from the collection, or no longer.", "documents"),
    Action("add_folder", "a", "add", "Go to the field for the path of a folder.", "documents"),
    Action("update_collection", "u", "update", "Read what has changed in its folder.", "documents"),
    Action("update_all", "U", "all", "Read what has changed in all folders, one after the other.", "documents"),
    Action("stop_update", "x", "stop", "Stop the update; the next one goes on from there.", "documents"),
    Action("show_failures", "f", "failed", "Show what could not be read, and why.", "documents"),
    Action(
        "accept_missing", "y", "forget missing", "Forget the files that are gone, where half of them are.", "documents"
    ),
    Action("remove_collection", "d,delete", "remove", "Forget the collection; its files stay.", "documents"),
    Action(
        "answer_now", "ctrl+enter,f8", "answer now", "While it thinks: close the thought, and answer now.", "anywhere"
    ),
    Action("back", "escape", "back", "Stop the reply; else go one step closer to the prompt.", "anywhere"),
    Action("commands", "ctrl+p", "commands", "Every command, by name.", "anywhere"),
    Action("help", "f1", "help", "This page.", "anywhere"),
    Action("new_chat", "ctrl+n", "new chat", "Begin a new chat; the other one goes on.", "anywhere"),
    Action("search_chats", "ctrl+r", "search", "Search all chats, or go to another one.", "anywhere"),
    Action("model", "ctrl+o", "model", "Choose the model.", "anywhere"),
    Action("documents", "ctrl+l", "documents", "The collections of documents.", "anywhere"),
    Action("fold_thoughts", "ctrl+t", "thoughts", "Show all thoughts whole, or fold them.", "anywhere", False),
    Action("templates", "f7", "template", "Choose a template: how questions are asked.", "anywhere", False),
    Action("settings", "f2", "settings", "The settings, as they stand in config.toml.", "anywhere", False),
    Action("chat_settings", "f3", "this chat", "System prompt and sampling of this chat.", "anywhere", False),
    Action("chat_list", "f4", "chat list", "Show or hide the list of chats.", "anywhere", False),
    Action(
        "drafts",
        "f6",
        "drafts",
        "Send as several drafts to choose from; with nothing written, answer again so.",
        "anywhere",
        False,
    ),
    Action("tree", "f5", "tree", "All branches of the chat.", "anywhere", False),
    Action("export_chat", "ctrl+s", "export", "Write the chat to a file.", "anywhere", False),
    Action("copy", "ctrl+c", "copy", "Copy the selection; else stop the reply; else leave.", "anywhere", False),
    Action("suspend", "ctrl+z", "suspend", "Go back to the shell; `fg` returns.", "anywhere", False),
    Action("quit", "ctrl+q", "quit", "Leave. Everything is saved, the draft too.", "anywhere"),
)


def actions_of(place: Place) -> tuple[Action, ...]:
    """Returns the actions of one place in the order of the table."""
    return tuple(action for action in ACTIONS if action.place == place)


def check_keys(text: str) -> str:
    """Returns why a text names no keys, or nothing where it does.

    Args:
        text: keys as `[keys]` has them, such as `ctrl+n` or `k,up`.
    """
    for key in text.split(","):
        *modifiers, name = key.strip().lower().split("+") if key.strip() != "+" else [key.strip()]
        if not name:
            return f"{text!r} has an empty key"
        if unknown := [modifier for modifier in modifiers if modifier not in _MODIFIERS]:
            return f"{unknown[0]!r} is no modifier: ctrl, alt, shift and super are"
        if len(name) > 1 and name not in _NAMED and not re.fullmatch(r"[a-z]+(_[a-z]+)+", name):
            return f"{name!r} is no key"
        if len(name) == 1 and modifiers and not name.isalnum():
            return f"{name!r} behind a modifier needs its name, as in ctrl+question_mark"
        if same := _SAME_AS.get("+".join((*modifiers, name))):
            return f"many terminals cannot tell {key.strip()} from {same}"
    return ""


def normal_keys(text: str) -> str:
    """Returns keys that `check_keys` passed as the toolkit names them: `Ctrl+N` is `ctrl+n`, `G` alone stays `G`."""
    keys = (key.strip() for key in text.split(","))
    return ",".join(key if len(key) == 1 else key.lower() for key in keys)


def shown_key(key: str) -> str:
    """Returns one key as the footer writes it: `ctrl+n` is ^N."""
    names = {
        "escape": "Esc", "enter": "Enter", "up": "↑", "down": "↓", "left": "←", "right": "→", "slash": "/",
        "delete": "Del", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End",
        "underscore": "_", "minus": "-", "plus": "+", "space": "Space", "tab": "Tab",
    }  # fmt: skip
    first = key.split(",")[0].strip()
    *modifiers, name = first.split("+")
    word = names.get(name, name.upper() if modifiers or re.fullmatch(r"f\d+", name) else name)
    prefix = {"ctrl": "^", "alt": "Alt+", "shift": "Shift+", "super": "Super+"}
    return "".join(prefix.get(modifier, f"{modifier}+") for modifier in modifiers) + word
