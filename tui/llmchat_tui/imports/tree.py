"""Makes our tree, in which questions and replies take turns, of messages that came in any order of roles.

Knows no file format. Texts are joined and gaps filled; nothing that was said is dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llmchat_tui.history import Conversation, ReplyStatus, Role, StoredMessage
from llmchat_tui.imports.values import Chat, LeftOut

NO_QUESTION = "(no question)"
JOINED = "messages of one side in a row, joined"
NO_ANSWER = "questions without an answer, marked as interrupted"
ASKED_NOTHING = f"answers without a question, put under {NO_QUESTION!r}"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of another program."""

    id: str
    parent_id: str
    """The message it follows, which comes before it; empty for a first one."""
    role: Role
    text: str
    created_at: float
    status: ReplyStatus = "complete"
    model: str = ""


@dataclass(slots=True)
class _Node:
    """One message of ours while it is put together."""

    id: str
    parent_id: str
    role: Role
    created_at: float
    texts: list[str]
    status: ReplyStatus = "complete"
    model: str = ""
    children: int = field(default=0)


def make_chat(title: str, system: str, updated_at: float, said: Sequence[Said], left_out: LeftOut) -> Chat:
    """Returns a chat of ours.

    Args:
        title: empty takes the first question.
        system: the system prompt.
        updated_at: Unix time; the newest message wins where it is later.
        said: at least one message, parents before their children; the last one is where the chat goes on.
        left_out: is told every repair.
    """
    title = title.strip() or said[0].text.strip() or "(no title)"
    nodes = _Tree(title, said, left_out).nodes
    times = [node.created_at for node in nodes]
    conversation = Conversation("", title, system, min(times), max(updated_at, max(times)))
    return conversation, tuple(map(_message, nodes))


class _Tree:
    """Places one message after the other."""

    def __init__(self, title: str, said: Sequence[Said], left_out: LeftOut) -> None:
        self.nodes: list[_Node] = []
        self._title = title
        self._left_out = left_out
        self._at: dict[str, _Node] = {}
        """Where each message of the other program went."""
        followers = Counter(one.parent_id for one in said)
        for one in said:
            self._place(one, alone=followers[one.parent_id] == 1)
        self._answer_all()

    def _place(self, one: Said, alone: bool) -> None:
        parent = self._at.get(one.parent_id)
        if parent is not None and parent.role == one.role and alone:
            self._left_out.add(JOINED, self._title)
            parent.texts.append(one.text)
            parent.status = one.status
            self._at[one.id] = parent
            return
        if one.role == "assistant" and (parent is None or parent.role == "assistant"):
            self._left_out.add(ASKED_NOTHING, self._title)
            parent = self._add(parent, "user", one.created_at, NO_QUESTION)
        elif one.role == "user" and parent is not None and parent.role == "user":
            parent = self._add_no_answer(parent)
        node = self._add(parent, one.role, one.created_at, one.text)
        node.status, node.model = one.status, one.model
        self._at[one.id] = node

    def _answer_all(self) -> None:
        """Gives every question a reply, for a chat can only go on behind one; the newest stays the newest."""
        open_questions = [node for node in self.nodes if node.role == "user" and node.children == 0]
        position = len(self.nodes) - 1
        for node in open_questions:
            self._add_no_answer(node)
        if self.nodes[position].role == "assistant":
            # The fillers hang at questions before it, so it may go behind them.
            self.nodes.append(self.nodes.pop(position))

    def _add_no_answer(self, question: _Node) -> _Node:
        self._left_out.add(NO_ANSWER, self._title)
        node = self._add(question, "assistant", question.created_at, "")
        node.status = "interrupted"
        return node

    def _add(self, parent: _Node | None, role: Role, created_at: float, text: str) -> _Node:
        node = _Node(str(len(self.nodes)), parent.id if parent else "", role, created_at, [text])
        if parent:
            parent.children += 1
        self.nodes.append(node)
        return node


def _message(node: _Node) -> StoredMessage:
    return StoredMessage(
        id=node.id,
        conversation_id="",
        parent_id=node.parent_id,
        role=node.role,
        text=_joined(node.texts),
        status=node.status if node.role == "assistant" else "complete",
        created_at=node.created_at,
        settings={"model": node.model} if node.model else {},
    )


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(texts)
