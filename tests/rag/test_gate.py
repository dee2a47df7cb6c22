"""The gate: what is not worth asking the model, what is weak, and a gate found on a user's own documents."""

from __future__ import annotations

import pytest

from llmchat_rag.gate import calibrate, calibrate_across, gate_at, judge

GATE = gate_at(0.30)


@pytest.mark.parametrize(
    ("cosine", "verdict"), [(0.0, "abstain"), (0.299, "abstain"), (0.30, "weak"), (0.399, "weak"), (0.401, "answer")]
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


def test_calibration_refuses_all_it_can_at_its_price() -> None:
    answerable = [0.5 + n / 1000 for n in range(100)] + [0.2]
    foreign = [0.1 + n / 1000 for n in range(100)]
    found = calibrate(answerable, foreign, wrong=0.01)
    assert 0.2 < found.gate.abstain <= 0.5
    assert found.refused == 1.0
    assert found.wrongly_refused <= 0.01
    assert found.gate.warn == pytest.approx(found.gate.abstain + 0.10)


def test_calibration_does_not_refuse_what_cannot_be_told_apart() -> None:
    same = [n / 100 for n in range(100)]
    assert calibrate(same, same).wrongly_refused <= 0.01


def test_calibration_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="both"):
        calibrate([], [0.1])


def test_collections_are_asked_each_others_questions() -> None:
    questions = {"cooking": ["boil an egg", "fry an onion"], "law": ["end a lease", "write a will"]}
    asked: list[tuple[str, str]] = []

    def best(question: str, collection: str) -> float:
        asked.append((question, collection))
        return 0.7 if question in questions[collection] else 0.15

    found = calibrate_across(questions, best)
    assert found is not None
    assert 0.15 < found.gate.abstain < 0.7
    assert len(asked) == found.questions == 8
    assert calibrate_across({"cooking": ["boil an egg"], "empty": []}, best) is None
