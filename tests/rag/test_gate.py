"""The gate: what is not worth asking the model, and what is weak."""

from __future__ import annotations

import pytest

from llmchat_rag.gate import OPEN, gate_at, judge

GATE = gate_at(0.30)


@pytest.mark.parametrize(
    ("cosine", "verdict"), [(0.0, "abstain"), (0.299, "abstain"), (0.30, "weak"), (0.399, "weak"), (0.401, "ok")]
)
def test_the_cosine_decides(cosine: float, verdict: str) -> None:
    assert judge(GATE, cosine) == verdict


@pytest.mark.parametrize(
    ("question", "text", "verdict"),
    [
        ("What is ERR_4711?", "raise Failure('ERR_4711')", "weak"),
        ("What is ERR_4711?", "raise Failure('ERR_47112')", "abstain"),
        ('Where is "the salt harvest" shown?', "We saw The Salt Harvest.", "weak"),
        ("What does maxRetries do?", "maxRetries=3", "weak"),
        ("How do I boil an egg?", "boil an egg", "abstain"),
    ],
)
def test_a_part_number_found_to_the_letter_is_not_refused(question: str, text: str, verdict: str) -> None:
    assert judge(GATE, 0.1, question, [text]) == verdict


def test_an_open_gate_refuses_nothing() -> None:
    assert judge(OPEN, 0.0) == "ok"
