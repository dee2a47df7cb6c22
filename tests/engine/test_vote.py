"""A vote: who wins, when it is over, what comes of it, and what a front end sees meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.rig import SEED

from llmchat_engine.answers import Answer
from llmchat_engine.errors import EngineDied, RequestInvalid
from llmchat_engine.events import Answered, Event, Finished, Loaded, Notice, Prefill, Token, Waiting
from llmchat_engine.prompting.answers_key import Kind
from llmchat_engine.prompting.answers_text import Place, last
from llmchat_engine.prompting.ballot import Ballot
from llmchat_engine.prompting.chain_of_thought import asked
from llmchat_engine.prompting.few_shot import Shot, as_messages
from llmchat_engine.prompting.second_pass import MARK, THEREFORE
from llmchat_engine.prompting.vote import Chain, Polled, vote
from llmchat_engine.testing import FakeEngine, Script
from llmchat_engine.types import Message, Request, Sampling

QUESTION = Message("user", asked("How many?", "zero-shot"))
ASKED = Request((QUESTION,), chat="chat")
SCHEMA = '{"type": "object"}'


def saying(answer: str, words: int = 3) -> Script:
    return Script(" ".join(["word"] * words) + f"\nAnswer: {answer}")


def chains(*answers: str) -> list[Script]:
    """Returns chains that end one after the other."""
    return [saying(answer, 3 + 4 * number) for number, answer in enumerate(answers)]


def run(engine: FakeEngine, request: Request = ASKED, count: int = 0) -> tuple[Polled, Finished]:
    """Returns the outcome and the end, after checking that what came is what the end says."""
    events = [*vote(engine, request, count or len(engine.scripts))]
    return told(events)


def told(events: Sequence[Event | Polled]) -> tuple[Polled, Finished]:
    last = events[-1]
    assert isinstance(last, Finished)
    tokens = [event for event in events if isinstance(event, Token)]
    assert "".join(token.text for token in tokens if token.thought) == last.thought
    assert "".join(token.text for token in tokens if not token.thought) == last.text
    assert not any(isinstance(event, Answered) for event in events)
    assert not last.answers
    polls = [event for event in events if isinstance(event, Polled)]
    assert [poll.tokens for poll in polls] == sorted(poll.tokens for poll in polls)
    return polls[-1], last


def test_the_answer_that_most_reach_wins() -> None:
    polled, last = run(FakeEngine(chains("12", "$18", "12 apples", "18", "18.0")))
    assert polled.tally == (("$18", 3), ("12", 2))
    assert polled.outcome == "3/5 → $18"
    assert (last.text, last.reason) == ("$18", "eog")
    assert last.thought == "word " * 6 + "word"


def test_what_a_front_end_shows_of_a_chain() -> None:
    polled, _ = run(FakeEngine(chains("12", "12")))
    assert polled.chains[0] == Chain(0, "word word word", "12", "12", "eog", 5)
    assert (polled.total, polled.tokens, polled.decided) == (2, 5 + 9, False)


def test_of_equal_ones_the_earlier_chain_wins() -> None:
    polled, last = run(FakeEngine([saying("12", 9), saying("18", 3), saying("18", 4), saying("12", 5)]))
    assert polled.tally == (("12", 2), ("18", 2))
    assert last.text == "12"


def test_an_answer_is_told_as_it_was_first_written() -> None:
    assert run(FakeEngine([saying("Paris.", 9), saying("the paris", 3)]))[0].tally == (("Paris", 2),)


def test_the_vote_stands_after_every_chain() -> None:
    events = [*vote(FakeEngine(chains("12", "18", "18")), ASKED, 3)]
    outcomes = [event.outcome for event in events if isinstance(event, Polled)]
    assert outcomes == ["1/1 → 12", "1/2 → 12", "2/3 → 18"]


def test_a_vote_that_has_not_begun_has_no_outcome() -> None:
    assert Polled((), (), 3).outcome == ""


def test_chains_that_cannot_change_the_outcome_are_stopped() -> None:
    engine = FakeEngine(chains("12", "12", "12", "18", "18"))
    polled, last = run(engine)
    assert polled.decided
    assert polled.tally == (("12", 3),)
    assert polled.outcome == "3/3 → 12"
    assert engine.stopped == {(ASKED.id, 3), (ASKED.id, 4)}
    assert [chain.reason for chain in polled.chains] == ["eog", "eog", "eog", "cancelled", "cancelled"]
    assert [chain.answer for chain in polled.chains[3:]] == ["", ""]
    assert (last.text, last.reason) == ("12", "eog")


def test_where_it_is_wished_all_chains_go_on_to_their_end() -> None:
    engine = FakeEngine(chains("12", "12", "12", "18", "18"))
    *_, last = vote(engine, ASKED, 5, stops_early=False)
    assert isinstance(last, Finished)
    assert not engine.stopped
    assert last.reply_tokens == sum(5 + 4 * number for number in range(5))


def test_a_tie_that_could_come_stops_nobody() -> None:
    engine = FakeEngine(chains("12", "12", "18", "18"))
    run(engine)
    assert not engine.stopped


@pytest.mark.parametrize("asked_for", [None, 0.0])
def test_chains_that_would_be_the_same_are_drawn(asked_for: float | None) -> None:
    engine = FakeEngine(chains("12", "18"))
    events = [*vote(engine, replace(ASKED, sampling=Sampling(temperature=asked_for)), 2)]
    assert engine.requests[0].sampling.temperature == 0.7
    assert any(isinstance(event, Notice) for event in events) == (asked_for == 0)


def test_a_temperature_that_was_asked_for_stays() -> None:
    engine = FakeEngine(chains("12", "18"))
    run(engine, replace(ASKED, sampling=Sampling(temperature=0.3)))
    assert engine.requests[0].sampling.temperature == 0.3


def test_the_chains_are_one_request() -> None:
    engine = FakeEngine(chains("12", "18", "18"))
    run(engine)
    assert [request.answers for request in engine.requests] == [3]


def test_a_chain_without_a_mark_gives_its_last_number() -> None:
    polled, last = run(FakeEngine([saying("12"), Script("3 and 9\nmake 12 in all")]))
    assert polled.tally == (("12", 2),)
    assert last.text == "12"


def test_a_number_on_the_way_is_no_answer() -> None:
    engine = FakeEngine([saying("12", 1), Script("3 and 9\nmake 12 in all")], continued=[Script(" 13")])
    polled, _ = run(engine, replace(ASKED, sampling=Sampling(max_tokens=4)))
    assert polled.tally == (("12", 1), ("13", 1))


def test_a_chain_without_an_answer_is_asked_for_one() -> None:
    engine = FakeEngine([Script("Let me see.\nHm."), saying("Paris")], continued=[Script(" Lyon")])
    polled, last = run(engine)
    assert polled.tally == (("Lyon", 1), ("Paris", 1))
    assert (last.text, last.thought) == ("Lyon", "Let me see.\nHm.")
    second = engine.requests[1]
    assert (second.answers, second.messages[-1].text) == (1, "Let me see.\nHm." + THEREFORE)
    bridge = engine.tokenize(THEREFORE)
    assert last.token_ids == (0, 1, 2, *bridge, 0)
    assert last.thought_tokens == 3 + len(bridge)
    assert last.reply_tokens == 4 + 5 + len(bridge) + 1


def test_it_is_not_asked_where_that_changes_nothing() -> None:
    engine = FakeEngine([Script("Let me see.\nHm."), *chains("Paris", "Paris")], continued=[Script(" Lyon")])
    polled, _ = run(engine)
    assert len(engine.requests) == 1
    assert polled.outcome == "2/3 → Paris"


def test_a_chain_that_is_asked_in_vain_is_not_asked_again() -> None:
    engine = FakeEngine([Script("Let me see.\nHm."), saying("Paris")], continued=[Script(" ")])
    polled, last = run(engine)
    assert polled.tally == (("Paris", 1),)
    assert last.text == "Paris"


def test_without_any_answer_the_last_line_is_what_there_is() -> None:
    engine = FakeEngine([Script("Let me see.\nHm.\n"), Script("Well.\nI do not know.")], continued=[Script("")])
    events = [*vote(engine, ASKED, 2)]
    polled, last = told(events)
    assert (polled.outcome, polled.tally) == ("", ())
    assert (last.text, last.thought, last.token_ids) == ("Hm.", "Let me see.", ())
    assert any(isinstance(event, Notice) for event in events)


def test_one_chain_is_a_vote_too() -> None:
    polled, last = run(FakeEngine([saying("12")]))
    assert (polled.outcome, last.text) == ("1/1 → 12", "12")


def test_examples_show_how_an_answer_is_asked_for() -> None:
    shots = as_messages([Shot("1+1", "2", "One and one.")], str, reasoned=True)
    engine = FakeEngine([Script("Let me see.\nHm.")], continued=[Script(" 12")])
    run(engine, replace(ASKED, messages=(*shots, QUESTION)))
    assert engine.requests[1].messages[-1].text.endswith(MARK)


def test_the_answer_of_a_model_that_thinks_is_its_text() -> None:
    polled, last = run(FakeEngine([Script("12 apples", thought="First three."), Script("12", thought="Then nine.")]))
    assert polled.tally == (("12 apples", 2),)
    assert (last.thought, last.text) == ("First three.", "12 apples")
    assert (last.token_ids, last.thought_tokens) == ((0, 1, 2, 3), 2)


def test_what_a_model_thinks_and_how_it_reasons_behind_that_are_two_texts() -> None:
    script = Script("Nine more.\nAnswer: 12", thought="First three.")
    polled, last = run(FakeEngine([script, script]))
    assert last.thought == polled.chains[0].thought == "First three.\n\nNine more."


def test_chains_reason_freely_and_their_answers_follow_the_schema() -> None:
    answers = [Script('{"a": 1, "b": 2}'), Script('{"b": 2, "a": 1}'), Script('{"a": 2}')]
    engine = FakeEngine(chains("1", "2", "3"), continued=answers)
    polled, last = run(engine, replace(ASKED, schema=SCHEMA))
    assert [request.schema for request in engine.requests] == ["", SCHEMA, SCHEMA]
    assert polled.tally == (('{"a": 1, "b": 2}', 2),)
    assert (last.text, last.complete) == ('{"a": 1, "b": 2}', True)


def test_where_nothing_asks_for_reasons_the_chains_follow_the_schema() -> None:
    engine = FakeEngine([Script('{"a": 1}'), Script('{"a":2}'), Script('{"a" : 1}')])
    polled, last = run(engine, Request((Message("user", "How many?"),), schema=SCHEMA, chat="chat"))
    assert [request.schema for request in engine.requests] == [SCHEMA]
    assert polled.tally == (('{"a": 1}', 2), ('{"a":2}', 1))
    assert (last.text, last.token_ids) == ('{"a": 1}', (0, 1))


def test_an_answer_that_does_not_reach_the_end_of_its_schema_does_not_count() -> None:
    engine = FakeEngine([Script('{"a": 1, "b": 2}'), Script('{"a": 3, "b": 4}')])
    plain = Request((Message("user", "How many?"),), Sampling(max_tokens=2), schema=SCHEMA, chat="chat")
    polled, last = run(engine, plain)
    assert (polled.tally, last.complete, last.text) == ((), False, '{"a": 1,')


def test_progress_is_told_while_no_chain_ends() -> None:
    ticks = iter(range(10_000))
    engine = FakeEngine([saying("12", 20), saying("12", 30)])
    events = [*vote(engine, ASKED, 2, clock=lambda: float(next(ticks)))]
    first = next(event for event in events if isinstance(event, Polled))
    assert (first.chains, first.total) == ((), 2)
    assert 0 < first.tokens < 10
    assert len([event for event in events if isinstance(event, Polled)]) > 10


def test_what_is_told_before_the_chains_passes_through_once() -> None:
    engine = FakeEngine(
        [Script("Hm.\nHm.", notice="left out"), saying("12")], continued=[Script("1", notice="left out")]
    )
    kinds = [type(event) for event in vote(engine, ASKED, 2)]
    assert [kinds.count(kind) for kind in (Loaded, Prefill, Notice, Finished)] == [1, 1, 1, 1]


def test_what_belongs_to_no_chat_is_forgotten() -> None:
    engine = FakeEngine(chains("12", "18"))
    run(engine, Request((QUESTION,), private=True))
    assert engine.forgotten == [engine.requests[0].chat]
    assert engine.requests[0].chat


def test_what_cannot_be_had_is_refused_by_the_engine() -> None:
    engine = FakeEngine([Script(error=RequestInvalid("9 answers cannot be had"))])
    with pytest.raises(RequestInvalid):
        run(engine, count=9)


def test_a_crash_is_told() -> None:
    with pytest.raises(EngineDied):
        run(FakeEngine([Script("word " * 5, crash_after=2)]), count=2)


def cancelled_at(engine: FakeEngine, kind: type[Event] | type[Polled], number: int = 1) -> list[Event | Polled]:
    """Cancels the vote when so many events of a kind have come."""
    seen: list[Event | Polled] = []
    for event in vote(engine, ASKED, len(engine.scripts)):
        seen.append(event)
        if isinstance(event, kind) and sum(isinstance(one, kind) for one in seen) == number:
            engine.cancel(ASKED.id)
    return seen


def test_cancelled_before_a_chain_has_ended_it_has_no_winner() -> None:
    _, last = told([Polled((), (), 0), *cancelled_at(FakeEngine(chains("12", "18")), Prefill)])
    assert (last.reason, last.text, last.thought) == ("cancelled", "", "")


def test_cancelled_before_it_began() -> None:
    engine = FakeEngine(chains("12", "18"))
    engine.cancel(ASKED.id)
    *_, last = vote(engine, ASKED, 2)
    assert isinstance(last, Finished)
    assert (last.reason, last.text) == ("cancelled", "")
    assert not engine.requests


def test_cancelled_in_the_middle_it_ends_with_the_winner_so_far() -> None:
    polled, last = told(cancelled_at(FakeEngine(chains("12", "18", "12", "18", "18")), Polled, 3))
    assert (last.reason, last.text) == ("cancelled", "12")
    assert polled.outcome == "2/3 → 12"
    assert not polled.decided


def test_cancelled_in_a_second_pass_it_ends_with_the_winner_so_far() -> None:
    scripts = [Script("Let me see.\nHm."), saying("Paris"), saying("Lyon", 9)]
    engine = FakeEngine(scripts, continued=[Script(" Nice", hang_after=0)])
    polled, last = told(cancelled_at(engine, Waiting))
    assert (last.reason, last.text) == ("cancelled", "Paris")
    assert len(engine.requests) == 2
    assert polled.total == 3


def test_cancelled_between_the_chains_and_a_second_pass() -> None:
    engine = FakeEngine([Script("Let me see.\nHm."), saying("Paris")], continued=[Script(" Nice")])
    *_, last = cancelled_at(engine, Polled, 2)
    assert isinstance(last, Finished)
    assert (last.reason, last.text, len(engine.requests)) == ("cancelled", "Paris", 1)


def test_closing_the_iterator_closes_the_chains() -> None:
    for count in range(8):
        events = vote(FakeEngine([Script("Hm.\nHm."), saying("12")], continued=[Script("1")]), ASKED, 2)
        for _ in range(count):
            next(events)
        events.close()


def ended(answer: str) -> Answer:
    return Answer("eog", f"Because.\nAnswer: {answer}" if answer else "Because.\nI say so.", (), 5)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["1", "2", "3", ""]), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_a_decided_vote_ends_in_the_same_way_whatever_comes(answers: list[str], dice: random.Random) -> None:
    order = list(range(len(answers)))
    dice.shuffle(order)
    ballot, leader = Ballot(len(answers), "chain"), ""
    for number in order:
        ballot.put(number, ended(answers[number]))
        if ballot.is_decided and not leader and ballot.standings:
            leader = ballot.standings[0].key
    for number in ballot.silent:
        ballot.ended[number].taken = dice.choice("123")
    votes = Counter(filter(None, (ballot.ended[number].taken or answers[number] for number in order)))
    assert {standing.key: standing.votes for standing in ballot.standings} == votes
    if leader:
        assert ballot.standings[0].key == leader
        assert votes[leader] == max(votes.values())


def test_a_chain_is_read_once_for_each_kind_of_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[Kind]()

    def look(text: str, kind: Kind) -> Place | None:
        looks.append(kind)
        return last(text, kind)

    monkeypatch.setattr("llmchat_engine.prompting.ballot.last", look)
    ballot = Ballot(20, "chain")
    for number in range(20):
        said = f"Answer: {number}" if number % 2 else f"{'so it goes on and on, ' * 5}\nto {number}"
        ballot.put(number, Answer("eog", said, (), 9))
        assert len(ballot.chains) == number + 1
        assert ballot.is_decided is False or number == 19
    assert ballot.standings[0].votes == 1
    assert looks.count("number") == 10
    assert len(looks) <= 20


def test_stopping_early_never_changes_the_winner() -> None:
    dice = random.Random(SEED)
    for _ in range(60):
        scripts = [saying(dice.choice(["1", "2", "3"]), dice.randint(1, 20)) for _ in range(dice.randint(1, 9))]
        winners = {winner(scripts, stops_early) for stops_early in (True, False)}
        assert len(winners) == 1, f"LLMCHAT_TEST_SEED={SEED}: {scripts}"


def winner(scripts: Sequence[Script], stops_early: bool) -> str:
    return last_text(vote(FakeEngine(scripts), ASKED, len(scripts), stops_early=stops_early))


def last_text(events: Iterable[Event | Polled]) -> str:
    *_, last = events
    assert isinstance(last, Finished)
    return last.text
