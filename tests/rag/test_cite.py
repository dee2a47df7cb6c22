"""Citations, and the sentences that they stand in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_rag.checking.sentences import sentences
from llmchat_rag.cite import citations, cited, without_citations


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Rome is old [1].", (1,)),
        ("Rome is old [1, 2].", (1, 2)),
        ("Rome is old [1-3].", (1, 2, 3)),
        ("Rome is old [1–3, 7].", (1, 2, 3, 7)),
        ("Rome is old [1][2].", (1, 2)),
        ("Rome is old [2] [1] [2].", (2, 1)),
        ("Rome is old [1; 4].", (1, 4)),
        ("Rome is old [1 and 2].", (1, 2)),
        ("Rome is old [Document 3].", (3,)),
        ("Rome is old 【4】.", (4,)),
        ("Rome is old 【4†notes.md】.", (4,)),
        ("Rome[5] is old.", (5,)),
        ("Rome burned [1984].", ()),
        ("Rome is old [0].", ()),
        ("Rome is old [3-1].", ()),
        ("Rome is old [1-900].", ()),
        ("Read [1](https://example.org).", ()),
        ("Use `names[1]` here.", ()),
        ("```\nx = names[1]\n```", ()),
        ("Rome [a] is old [].", ()),
    ],
)
def test_citations_are_read(text: str, ids: tuple[int, ...]) -> None:
    assert cited(citations(text)) == ids


def test_a_text_reads_without_its_citations() -> None:
    assert without_citations("Rome is old [1], and big [2][3].") == "Rome is old, and big."


SPLIT = [
    ("Rome is old. It is big.", ["Rome is old.", "It is big."]),
    ("Dr. Osei met Mr. Li at 5 p.m. in St. Ives.", ["Dr. Osei met Mr. Li at 5 p.m. in St. Ives."]),
    ("It costs 3.50 dollars. That is cheap.", ["It costs 3.50 dollars.", "That is cheap."]),
    ("Okafor et al. reported it, e.g. in Fig. 3.", ["Okafor et al. reported it, e.g. in Fig. 3."]),
    ("It opened on 14. Juni 1931. Es war heiß.", ["It opened on 14. Juni 1931.", "Es war heiß."]),
    ("J. R. Smith wrote it. He left.", ["J. R. Smith wrote it.", "He left."]),
    ("Use version 2.4.1 of fetch.py. It works!", ["Use version 2.4.1 of fetch.py.", "It works!"]),
    ("He said “Stop.” Then he left.", ["He said “Stop.”", "Then he left."]),
    ("Really?! Yes… maybe.", ["Really?!", "Yes… maybe."]),
    ("Rome is old. [1] It is big. [2]", ["Rome is old. [1]", "It is big. [2]"]),
    ("Rome is old.[1] It is big.[2]", ["Rome is old.[1]", "It is big.[2]"]),
    ("- Rome is old [1]\n- It is big [2]", ["Rome is old [1]", "It is big [2]"]),
    ("1. Rome is old.\n2. It is big.", ["Rome is old.", "It is big."]),
    ("# Rome\n\nIt is old.", ["# Rome", "It is old."]),
    ("It is\nold. It is\nbig.", ["It is\nold.", "It is\nbig."]),
    ("Run this:\n```\na. B. C.\n```\nIt works.", ["Run this:", "It works."]),
    ("ローマは古い。大きい。", ["ローマは古い。", "大きい。"]),
    ("Northgrid Ltd. bought it. Fine.", ["Northgrid Ltd. bought it.", "Fine."]),
]


@pytest.mark.parametrize(("text", "expected"), SPLIT, ids=[text[:24] for text, _ in SPLIT])
def test_sentences_survive_abbreviations_decimals_lists_and_code(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in sentences(text)] == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*"aB1 .!?\n[]`#-()。", "Dr. ", "```\n", "[1]"]), max_size=60).map("".join))
def test_sentences_lie_in_order_inside_their_text(text: str) -> None:
    last = 0
    for sentence in sentences(text):
        assert last <= sentence.start < sentence.end <= len(text)
        assert text[sentence.start : sentence.end] == sentence.text
        last = sentence.end
