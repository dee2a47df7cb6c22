"""Thoughts over several turns: they leave the prompt, the rest stays cached, a reply that stopped in one thinks on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.engine.rig import SEED
from tests.engine.thinkers import KEY, WHERE, OpenThinker, Thinker, asked, reply

from llmchat_engine.events import Finished
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.measure import Lengths, measure
from llmchat_engine.types import Message, Request, Sampling

LONG = "let me think about it, " * 12
THOUGHTS = {
    "qwen3": ("<think>\n" + LONG + "\n</think>\n\n", "Far.<|im_end|>"),
    "r1": (LONG + "\n</think>\n\n", "Far.<|im_end|>"),
    "gpt-oss": ("<|channel|>analysis<|message|>" + LONG + "<|end|><|start|>assistant<|channel|>final<|message|>",
                "Far.<|return|>"),
    "spelled": ("<think>\n" + LONG + "\n</think>\n\n", "Far.<|im_end|>"),
}  # fmt: skip
FAMILIES = sorted(THOUGHTS)
THEN = Message("user", "How far, then?")
DIRECT = {"gpt-oss": "<|channel|>final<|message|>Ten miles.<|return|>", "r1": "hm</think>Ten miles.<|im_end|>"}


def first_turn(thinker: Thinker, kind: str, **more: object) -> Finished:
    """Returns the end of a first turn with a long thought."""
    return thinker.ask(asked(max_tokens=400, **{"chat": "a", **more}), "".join(THOUGHTS[kind]))


def second(finished: Finished, **more: object) -> Request:
    """Returns the second turn."""
    return asked(WHERE, reply(finished), THEN, **{"chat": "a", **more})


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_thought_leaves_the_next_prompt(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = first_turn(thinker, kind)
    request = second(finished)
    written = asked(WHERE, Message("assistant", "Far."), THEN)
    assert thinker.prompt(request) == thinker.prompt(written)
    ids = thinker.residents.prompter.prompt(request).ids
    answer = finished.token_ids[finished.thought_tokens : -1]
    at = thinker.residents.prompter.prompt(request).starts[1]
    assert ids[at : at + len(answer)] == answer == thinker.ids("Far.")


@pytest.mark.parametrize("kind", FAMILIES)
def test_up_to_the_question_all_is_cached_and_after_idle_work_the_answer_too(
    kind: str, open_thinker: OpenThinker
) -> None:
    thinker = open_thinker(kind)
    for rests, chat in ((False, "b"), (True, "c")):
        finished = first_turn(thinker, kind, chat=chat)
        assert finished.thought_tokens > 200
        if rests:
            thinker.rest()
        request = second(finished, chat=chat)
        prompt = thinker.residents.prompter.prompt(request)
        turn = thinker.ask(request, DIRECT.get(kind, "Ten miles.<|im_end|>"))
        assert turn.text == "Ten miles."
        assert turn.prompt_tokens < finished.prompt_tokens + 100, "the thought is gone"
        if rests:
            assert turn.cached_tokens >= prompt.before(2)
        else:
            assert prompt.before(1) - 25 < turn.cached_tokens <= prompt.before(1)


@pytest.mark.parametrize("kind", FAMILIES)
def test_thoughts_that_are_kept_are_what_the_cache_holds(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = first_turn(thinker, kind)
    turn = thinker.ask(second(finished, keep_thoughts=True), DIRECT.get(kind, "Ten miles.<|im_end|>"))
    assert turn.cached_tokens >= finished.prompt_tokens + finished.reply_tokens - 1
    assert turn.recomputed == ""
    text = thinker.prompt(second(finished, keep_thoughts=True))
    assert LONG in text
    assert thinker.residents.prompter.prompt(second(finished, keep_thoughts=True)).text.count("Far.") == 1


def test_a_chain_of_thought_of_a_model_that_does_not_think_is_kept_or_gone(
    llama: Llama, tiny_chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinker = Thinker(llama, tiny_chat, monkeypatch)
    begun, said = (thinker.vocab.tokenize(text, special=False) for text in ("Three and nine.", "12"))
    chain = Message("assistant", "12", (*begun, *said), KEY, len(begun))
    prompt = thinker.prompt(asked(WHERE, chain, WHERE))
    kept = thinker.prompt(asked(WHERE, chain, WHERE, keep_thoughts=True))
    assert "Three and nine." not in prompt
    assert kept == prompt.replace("12", "Three and nine.12")
    thinker.close()


@pytest.mark.parametrize("kind", ["r1", "gpt-oss"])
def test_an_answer_with_marks_and_no_thought_is_kept_as_it_was(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    end = THOUGHTS[kind][1]
    finished = thinker.ask(asked(chat="a", think="off"), end)
    turn = thinker.ask(second(finished, keep_thoughts=True, think="off"), end)
    assert turn.cached_tokens >= finished.prompt_tokens + finished.reply_tokens - 1


@pytest.mark.parametrize("kind", FAMILIES)
def test_why_a_turn_was_computed_again_is_told(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    script = THOUGHTS[kind][0] + 90 * "far " + THOUGHTS[kind][1]
    finished = thinker.ask(asked(chat="a", max_tokens=700), script)
    turn = thinker.ask(second(finished), DIRECT.get(kind, "Ten miles.<|im_end|>"))
    assert turn.recomputed == "an earlier thought has left the context"


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("stopped_after", [3, 60, 200])
def test_a_reply_that_stopped_in_its_thought_thinks_on(
    kind: str, stopped_after: int, open_thinker: OpenThinker
) -> None:
    """Continued it is, together, what it would have been in one piece, and nothing of it is computed again."""
    if kind == "spelled" and stopped_after == 3:
        pytest.skip("half of a mark that is spelled is shown as text")
    thinker = open_thinker(kind)
    script = "".join(THOUGHTS[kind])
    whole = first_turn(thinker, kind)
    drawn = thinker.text(whole.token_ids[:stopped_after])
    begun = thinker.ask(asked(chat="b", max_tokens=stopped_after), drawn)
    assert (begun.text, begun.thought_tokens) == ("", stopped_after)
    on = thinker.ask(asked(WHERE, reply(begun), chat="b", max_tokens=400), script[len(drawn) :])
    assert begun.thought + on.thought == whole.thought
    assert begun.token_ids + on.token_ids == whole.token_ids
    assert (on.text, begun.thought_tokens + on.thought_tokens) == ("Far.", whole.thought_tokens)
    assert on.cached_tokens >= begun.prompt_tokens + stopped_after - 1
    thinker.rest()
    together = replace(whole, token_ids=begun.token_ids + on.token_ids)
    prompt = thinker.residents.prompter.prompt(second(together))
    turn = thinker.ask(second(together, chat="b"), DIRECT.get(kind, "Ten miles.<|im_end|>"))
    assert turn.cached_tokens >= prompt.before(2)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_reply_that_stopped_in_its_answer_goes_on_in_it(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    before, end = THOUGHTS[kind]
    count = len(thinker.ids(before)) + 2
    begun = thinker.ask(asked(chat="b", max_tokens=count), before + "Fa")
    assert (begun.text, begun.reason) == ("Fa", "max_tokens")
    on = thinker.ask(asked(WHERE, reply(begun), chat="b"), "r <think>" + end.removeprefix("Far"))
    assert (on.text, on.thought, on.thought_tokens) == ("r <think>.", "", 0)


def test_a_thought_that_has_begun_is_closed_where_it_stands(open_thinker: OpenThinker) -> None:
    for kind in FAMILIES:
        thinker = open_thinker(kind)
        begun = thinker.ask(asked(max_tokens=40), THOUGHTS[kind][0])
        request = asked(WHERE, reply(begun), think="off")
        on = thinker.ask(request, THOUGHTS[kind][1])
        assert (on.text, on.thought) == ("Far.", "")
        effort = ("medium", "low") if kind == "gpt-oss" else ("", "")
        assert thinker.prompt(request) == thinker.prompt(replace(request, think="auto")).replace(*effort)
        spent = thinker.ask(asked(WHERE, reply(begun), think_budget=50), LONG[:20] + THOUGHTS[kind][1])
        assert spent.text.endswith("Far.")
        assert len(spent.thought) <= 20


def test_between_two_messages_of_a_thought_it_goes_on_apart(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("gpt-oss")
    one = "<|channel|>analysis<|message|>one<|end|>"
    begun = thinker.ask(asked(max_tokens=len(thinker.ids(one))), one)
    two = "<|start|>assistant<|channel|>analysis<|message|>two<|end|>"
    on = thinker.ask(asked(WHERE, reply(begun)), two + "<|start|>assistant<|channel|>final<|message|>Far.<|return|>")
    assert (begun.thought + on.thought, on.text) == ("one\n\ntwo", "Far.")


@pytest.mark.parametrize("kind", FAMILIES)
def test_off_goes_on_as_it_began(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    forced = len(thinker.ids({"r1": "\n</think>\n\n", "gpt-oss": "<|channel|>final<|message|>"}.get(kind, "")))
    begun = thinker.ask(asked(chat="b", think="off", max_tokens=forced + 3), "\nFa")
    assert begun.text == "Fa"
    on = thinker.ask(asked(WHERE, reply(begun), chat="b", think="off"), "r." + THOUGHTS[kind][1][4:])
    assert (on.text, on.thought_tokens) == ("r.", 0)
    assert on.cached_tokens >= begun.prompt_tokens + begun.reply_tokens - 1


@pytest.mark.parametrize("kind", FAMILIES)
def test_an_answer_without_ids_is_continued_as_an_answer(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    request = asked(WHERE, Message("assistant", "It is"))
    opened = {"r1": "\n</think>\n\n", "gpt-oss": "<|channel|>final<|message|>"}.get(kind, "")
    assert thinker.prompt(request) == thinker.prompt(asked()) + opened + "It is"
    finished = thinker.ask(request, " far." + THOUGHTS[kind][1].removeprefix("Far."))
    assert (finished.text, finished.thought) == (" far.", "")
    measured = thinker.residents.prompter.prompt(request)
    assert measured.ids[measured.begun :] == thinker.ids("It is")


@pytest.mark.parametrize("thought", [-3, 1, 4, 5, 6, 1000, 2**40])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", FAMILIES)
def test_wrong_counts_do_no_harm(kind: str, keep: bool, thought: int, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    said = Message("assistant", "Far.", (*thinker.ids("Far."), 4), KEY, thought)
    for path in ((WHERE, said, THEN), (WHERE, said)):
        finished = thinker.ask(asked(*path, keep_thoughts=keep), "x" + THOUGHTS[kind][1])
        assert finished.reason == "eog"


def test_a_thought_alone_is_an_empty_reply_on_the_next_turn(open_thinker: OpenThinker) -> None:
    for kind in FAMILIES:
        thinker = open_thinker(kind)
        begun = thinker.ask(asked(max_tokens=40), THOUGHTS[kind][0])
        assert thinker.prompt(second(begun)) == thinker.prompt(asked(WHERE, Message("assistant", ""), THEN))


def test_a_reply_of_another_model_has_its_text(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    other = Message("assistant", "Far.", (1, 2, 3, 4), "other", 2)
    usual = thinker.prompt(asked(WHERE, Message("assistant", "Far."), THEN))
    assert thinker.prompt(asked(WHERE, other, THEN)) == usual
    assert thinker.prompt(asked(WHERE, other, THEN, keep_thoughts=True)) == usual


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_is_counted_is_what_is_read(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = first_turn(thinker, kind)
    begun = replace(reply(finished), text="", token_ids=finished.token_ids[:30], thought_tokens=30)
    paths = ((WHERE, reply(finished), THEN), (WHERE, begun), (WHERE, Message("assistant", "It is")))
    for think, keep in (("auto", False), ("off", True), ("on", False)):
        for path in paths:
            request = asked(*path, think=think, keep_thoughts=keep)
            prompter, vocab = thinker.residents.prompter, thinker.vocab
            measured = measure(request, prompter.template, vocab, Lengths(vocab), 1024)
            assert measured.total == len(prompter.prompt(request).ids)


def test_whatever_is_drawn_adds_up(open_thinker: OpenThinker) -> None:
    """Random weights think nonsense: however it comes, events, counts and text agree, and every turn can go on."""
    for kind in FAMILIES:
        thinker, random = open_thinker(kind), Random(f"{SEED} {kind}")
        path: tuple[Message, ...] = (WHERE,)
        marks = thinker.ids("<|channel|><|message|><|end|><|start|><think></think>")
        for turn in range(25):
            liked = (f"#{random.choice(marks)}={random.choice((4, 9))}" for _ in range(3))
            sampling = Sampling(temperature=1.5, seed=turn, max_tokens=random.randrange(1, 40), logit_bias=tuple(liked))
            request = asked(
                *path,
                sampling=sampling,
                think=random.choice(("auto", "on", "off")),
                think_budget=random.choice((None, 0, 3, 10)),
                keep_thoughts=random.random() < 0.3,
                answers=random.choice((1, 1, 3)),
                logprobs=random.choice((None, 1)),
                grammar=random.choice(("", "", "root ::= [a-z]+")),
                chat=random.choice(("", "a")),
            )
            finished = thinker.ask(request)
            assert 0 <= finished.thought_tokens <= finished.reply_tokens
            thinker.rest()
            goes_on = random.choice(((), (reply(finished),), (reply(finished), THEN)))
            path = (*path, *goes_on) if goes_on and path[-1].role == "user" and len(path) < 12 else (WHERE,)
