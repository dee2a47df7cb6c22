"""The tree of a chat as lines: what stands where, what is told of a reply, chats of any shape and length."""

from __future__ import annotations

import os
import random
import time

import pytest

from llmchat_tui.history import Node, ReplyStatus, Role
from llmchat_tui.tree_lines import age, facts_of, tree_lines

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
NOW = 1_700_000_000.0


def node(
    name: str, parent: str = "", *, role: Role = "assistant", status: ReplyStatus = "complete", tokens: int = 0
) -> Node:
    return Node(name, parent, role, f"text of {name}", NOW, status, tokens, 0)


def drawn(*nodes: Node, path: str = "") -> list[str]:
    lines = tree_lines(nodes, path.split(), NOW)
    return [f"{line.stem}{'●' if line.on_path else '○'} {line.id}" for line in lines]


def test_branches_stand_under_each_other_the_oldest_first() -> None:
    shown = drawn(
        node("q"), node("a", "q"), node("b", "q"), node("c", "b"), node("d", "c"), node("e", "q"), path="q b c d"
    )  # fmt: skip
    assert shown == [
        "● q",
        "├─ ○ a",
        "├─ ● b",
        "│  ● c",
        "│  ● d",
        "└─ ○ e",
    ]


def test_a_fork_in_the_last_branch_and_two_first_questions() -> None:
    shown = drawn(node("p"), node("a", "p"), node("q"), node("b", "q"), node("c", "q"), node("d", "c"), path="p a")
    assert shown == [
        "├─ ● p",
        "│  ● a",
        "└─ ○ q",
        "   ├─ ○ b",
        "   └─ ○ c",
        "      ○ d",
    ]


def test_a_chat_without_forks_is_one_column_however_long() -> None:
    nodes = [node(str(number), str(number - 1) if number else "") for number in range(5_000)]
    assert {line.stem for line in tree_lines(nodes, (), NOW)} == {""}


def test_every_message_is_there_once_under_its_parent() -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    draw = random.Random(SEED)
    nodes = [node("0")]
    for number in range(1, 300):
        nodes.append(node(str(number), draw.choice([*(node.id for node in nodes[-4:]), nodes[0].id])))
    lines = tree_lines(nodes, (), NOW)
    assert sorted(line.id for line in lines) == sorted(node.id for node in nodes)
    place = {line.id: at for at, line in enumerate(lines)}
    for made in nodes[1:]:
        assert place[made.parent_id] < place[made.id]
        assert len(lines[place[made.parent_id]].stem) <= len(lines[place[made.id]].stem)


def test_a_wide_stem_loses_its_left_end() -> None:
    (line, *_) = tree_lines([node("q")], (), NOW)
    assert line.cut_stem(10) == ""
    deep = [node("0")]
    for number in range(40):
        deep += [node(f"a{number}", deep[-1].id), node(f"b{number}", deep[-1].id)]
    stem = tree_lines(deep, (), NOW)[-1].stem
    last = tree_lines(deep, (), NOW)[-1].cut_stem(12)
    assert len(stem) > 100 and len(last) == 12 and last == f"…{stem[-11:]}"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (node("a", tokens=1), "1 token, now"),
        (node("a", tokens=1_204), "1,204 tokens, now"),
        (node("a", tokens=3, status="stopped"), "stopped, 3 tokens, now"),
        (node("a", status="failed"), "failed, now"),
        (node("a", status="streaming"), "being written, now"),
        (node("a", role="user", tokens=9), ""),
    ],
)
def test_what_is_told_of_a_message(made: Node, told: str) -> None:
    assert facts_of(made, NOW) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-100, "now"), (59, "now"), (60, "1 min ago"), (3_599, "59 min ago"), (3_600, "1 h ago"), (86_399, "23 h ago"),
     (86_400, "1 day ago"), (2.5 * 86_400, "2 days ago"), (29 * 86_400, "29 days ago"), (float("inf"), "")],
)  # fmt: skip
def test_how_long_ago(seconds: float, told: str) -> None:
    assert age(NOW - seconds, NOW) == told


def test_what_is_older_than_a_month_has_a_date() -> None:
    then = time.mktime((2024, 3, 13, 12, 0, 0, 0, 0, -1))
    assert age(then, then + 90 * 86_400) == "2024-03-13"
