"""The slash commands: one table for typing them, completing them, the command palette and the help page.

Knows no screen: a command names what is to be done, the chat screen does it. The names are those that users of other
programs already type.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    help: str
    argument: str = ""
    """What may follow, as the help shows it; in brackets where it may be left out."""
    aliases: tuple[str, ...] = ()
    action: str = ""
    """The id of the key action that does the same, for its key."""

    @property
    def needs_argument(self) -> bool:
        """Whether the name alone says too little."""
        return bool(self.argument) and not self.argument.startswith("[")


@dataclass(frozen=True, slots=True)
class Call:
    """A command as it was typed."""

    command: Command
    argument: str = ""

    @classmethod
    def named(cls, name: str, argument: str = "") -> Call:
        """Returns the call of a command by its name."""
        return cls(_BY_NAME[name], argument)


class UnknownCommand(ValueError):
    """A line that begins with a slash and is neither a command nor a path."""

    def __init__(self, name: str, why: str = "") -> None:
        near = difflib.get_close_matches(name, _BY_NAME, 1)
        helps = f"did you mean /{near[0]}?" if near else "/help lists them"
        super().__init__(why or f"there is no command /{name}; {helps}")


COMMANDS: tuple[Command, ...] = (
    Command("help", "keys and commands", aliases=("?",), action="help"),
    Command("new", "begin a new chat", aliases=("clear",), action="new_chat"),
    Command("open", "open a chat by its title or id", "TITLE", aliases=("load",)),
    Command("search", "search all chats", "[WORDS]", action="search_chats"),
    Command("rename", "give this chat a title", "TITLE", aliases=("save",)),
    Command("delete", "delete this chat; it can be undone for ten seconds"),
    Command("model", "choose the model", "[NAME]", aliases=("models",), action="model"),
    Command(
        "pull",
        "download a model, as in: /pull user/repo:Q4_K_M; or search for one",
        "[REFERENCE|WORDS]",
        action="search_hub",
    ),
    Command("system", "set the system prompt of this chat", "[TEXT]", action="chat_settings"),
    Command(
        "docs", "answer this chat from documents, by the names of collections", "[NAME...|all|off]", action="documents"
    ),
    Command("template", "choose how this chat's questions are asked", "[NAME|off]", action="templates"),
    Command("think", "whether a reasoning model thinks, or the longest thought in tokens", "on|off|auto|N"),
    Command("answer", "close the thought and answer now", action="answer_now"),
    Command("thoughts", "show all thoughts whole, or fold them", action="fold_thoughts"),
    Command("keep-thoughts", "keep earlier thoughts in the prompt", "on|off"),
    Command("cot", "have the model reason step by step before it answers", "off|zero-shot|few-shot"),
    Command("votes", "have several chains of thought vote on the answer", "N|off"),
    Command("chains", "the chains of thought that voted on the last reply", action="chains"),
    Command("schema", "have answers follow a JSON schema, as in: /schema name, age int", "TEXT|FILE|off"),
    Command("sources", "what the last reply stands on, and the marks of its sentences", action="sources"),
    Command("tokens", "how likely each token of the last reply was, and a branch from another", action="tokens"),
    Command("rate", "rate the last reply as good or bad; the same once more takes that away", "+|- [NOTE]"),
    Command("set", "set a sampling value of this chat, as in: /set temperature 0.2", "NAME VALUE"),
    Command("show", "what is in force", "[info|system|parameters]"),
    Command("again", "answer the last question once more", aliases=("regen", "regenerate", "retry"), action="again"),
    Command(
        "drafts",
        "several replies side by side to choose from, 3 or as many as you say",
        "[N] [QUESTION]",
        action="drafts",
    ),
    Command("edit", "change the last question", aliases=("undo",), action="edit"),
    Command("continue", "have the last reply go on where it ended", action="continue_reply"),
    Command("branch", "let the next question follow the reply before the last one", aliases=("fork",), action="branch"),
    Command("tree", "all branches of this chat", aliases=("branches",), action="tree"),
    Command("stop", "stop the reply", action="back"),
    Command("file", "attach a file to the message", "PATH", aliases=("read", "attach")),
    Command("copy", "copy the last reply, or its last code block", "[code]", action="copy_message"),
    Command("export", "write this chat to a file: .md or .json", "[FILE]", action="export_chat"),
    Command("import", "take over chats: our JSON, ChatGPT's, llm's", "FILE"),
    Command("context", "what fills the context"),
    Command("stats", "how the last reply went"),
    Command("prompt", "the exact prompt that the model is given"),
    Command("editor", "write the message in $EDITOR", action="editor"),
    Command("theme", "choose the colours", "[NAME]"),
    Command("settings", "the settings", action="settings"),
    Command("chats", "show or hide the list of chats", action="chat_list"),
    Command("exit", "leave; everything is saved", aliases=("bye", "quit"), action="quit"),
)

_BY_NAME = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}


def parse(text: str) -> Call | None:
    """Returns the command that a message is, or None where it is a message.

    A message that begins with the path of an existing file is a message: the file gets attached.

    Raises:
        UnknownCommand: it begins with a slash and is neither.
    """
    if not text.startswith("/") or "\n" in text.strip():
        return None
    word, _, argument = text[1:].strip().partition(" ")
    if command := _BY_NAME.get(word.lower()):
        if argument.strip() and not command.argument:
            raise UnknownCommand(word, f"/{word} takes no words; to say it to the model, begin without the slash")
        return Call(command, argument.strip())
    if not word or "/" in word or os.path.lexists(f"/{word}"):
        return None
    raise UnknownCommand(word)


def matching(prefix: str) -> list[Command]:
    """Returns the commands whose name or alias begins with a prefix, in the order of the table."""
    return [
        command
        for command in COMMANDS
        if any(name.startswith(prefix.lower()) for name in (command.name, *command.aliases))
    ]
