"""RemoteEngine over a scripted server: what it sends, and what it makes of what comes back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from tests.engine.remote_rig import GREEDY, notices, question, said, stage
from tests.engine.scripted_server import DONE, Connection, answer, chunk, event, refusing, saying, streaming, usage

from llmchat_engine import Loaded, RequestInvalid
from llmchat_engine.events import Answered, Finished, Token
from llmchat_engine.types import Message, Request, Sampling

LLAMA = ({"id": "tiny", "owned_by": "llamacpp", "meta": {"n_ctx": 512, "n_ctx_train": 4096, "n_params": 7}},)
PYTHON = ({"id": "/models/tiny.gguf", "owned_by": "me"},)
OTHER = ({"id": "tiny", "owned_by": "somebody"},)
OLLAMA = ({"id": "tiny:latest", "owned_by": "library"},)


def test_a_reply_streams_and_is_counted() -> None:
    with stage(saying("Hel", "lo ", "there.")) as on:
        events = on.ask()
        loaded, last = events[0], events[-1]
        assert isinstance(loaded, Loaded)
        assert isinstance(last, Finished)
        assert (loaded.model.name, loaded.model.n_ctx, loaded.model.remote) == ("tiny", 2048, on.server.place)
        assert said(events) == last.text == "Hello there."
        assert (last.reason, last.prompt_tokens, last.reply_tokens, last.exact) == ("eog", 12, 3, True)
        assert (last.token_ids, last.complete) == ((), True)


def test_what_is_sent_is_what_was_asked_and_nothing_that_was_left_open() -> None:
    sampling = Sampling(temperature=0.5, seed=7, stop=("END",), max_tokens=9, top_k=3, repeat_penalty=1.2)
    with stage(saying("x")) as on:
        on.end(Request((Message("system", "Be brief."), Message("user", "hi")), sampling))
        assert on.body == {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "seed": 7,
            "max_tokens": 9,
            "stop": ["END"],
            "top_k": 3,
            "repetition_penalty": 1.2,
        }


def test_a_raw_prompt_is_completed() -> None:
    old = event({"choices": [{"index": 0, "text": " Paris", "finish_reason": "length"}]})
    with stage(streaming(old, DONE)) as on:
        last = on.end(question("The capital of France is", Sampling(max_tokens=1), raw=True))
        assert (on.server.heard[-1].path, on.body["prompt"]) == ("/v1/completions", "The capital of France is")
        assert (last.text, last.reason, last.exact) == (" Paris", "max_tokens", False)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_thought_in_a_field_of_its_own(field: str) -> None:
    parts: tuple[dict[str, Any], ...] = ({field: "Let me "}, {field: "see."}, {"content": "It is 4."})
    with stage(streaming(*(chunk(**part) for part in parts), chunk(reason="stop"), DONE)) as on:
        last = on.end()
        assert (last.thought, last.text, last.thought_tokens) == ("Let me see.", "It is 4.", 2)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_thought_in_the_text_however_it_is_cut(size: int) -> None:
    text = "\n<think>\nLet me see. 1 < 2 </thin\n</think>\n\nIt is 4. <think> is a mark."
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    with stage(saying(*parts)) as on:
        last = on.end()
        assert (last.thought, last.text) == ("Let me see. 1 < 2 </thin", "It is 4. <think> is a mark.")


def test_a_text_that_only_begins_like_a_thought_is_text() -> None:
    with stage(saying("<thi", "ngs>")) as on:
        assert on.end().text == "<things>"
    with stage(saying("<thi")) as on:
        assert on.end().text == "<thi"


@pytest.mark.parametrize(
    ("reason", "told"), [("stop", "eog"), ("length", "context"), ("tool_calls", "eog"), ("content_filter", "eog")]
)
def test_how_it_ended(reason: str, told: str) -> None:
    with stage(saying("x", reason=reason)) as on:
        assert on.end().reason == told


def test_a_stop_word_is_told_apart_where_the_server_does() -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}]}
    with stage(streaming(chunk("x"), event(end), DONE)) as on:
        assert on.end().reason == "stop"


def test_what_was_withheld_is_told() -> None:
    with stage(saying("x", reason="content_filter")) as on:
        assert any("withheld" in text for text in notices(on.ask()))


def test_an_end_that_nobody_told_is_told() -> None:
    with stage(streaming(chunk("half"), DONE)) as on:
        events = on.ask()
        assert said(events) == "half"
        assert any("may be cut" in text for text in notices(events))


def test_a_server_that_does_not_stream() -> None:
    told = {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    with stage(lambda connection: answer(connection, told)) as on:
        assert (on.end().text, on.server.heard[-1].body["stream"]) == ("whole", True)


def test_probabilities_of_a_chat() -> None:
    likely = [{"token": "Hi", "logprob": -0.1, "id": 7}, {"token": "Yo", "logprob": -3.0}]
    content = [{"token": "Yo", "logprob": -3.0, "top_logprobs": likely}]
    told = {"choices": [{"index": 0, "delta": {"content": "Yo"}, "logprobs": {"content": content}}]}
    with stage(streaming(event(told), chunk(reason="stop"), DONE)) as on:
        events = on.ask(question(logprobs=2))
        [token] = [event.logprobs[0] for event in events if isinstance(event, Token) and event.logprobs]
        assert (token.text, token.logprob, token.rank, token.id) == ("Yo", -3.0, 2, -1)
        assert [(one.text, one.id) for one in token.top] == [("Hi", 7), ("Yo", -1)]
        assert (on.body["logprobs"], on.body["top_logprobs"]) == (True, 2)
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.logprob == -3.0


def test_probabilities_of_a_completion_with_numbers_that_json_does_not_know() -> None:
    told = '{"choices": [{"index": 0, "text": " a", "logprobs": {"tokens": [" a"], "token_logprobs": [-1.5],'
    told += ' "top_logprobs": [{" a": -1.5, " b": -Infinity}]}}]}'
    with stage(streaming(f"data: {told}\n\n", event({"choices": [{"text": "", "finish_reason": "stop"}]}), DONE)) as on:
        events = on.ask(question(raw=True, logprobs=1))
        [token] = [event.logprobs[0] for event in events if isinstance(event, Token) and event.logprobs]
        assert (token.text, token.logprob, token.rank, len(token.top)) == (" a", -1.5, 1, 2)


SCHEMA = '{"type":"object"}'


def test_a_schema_goes_in_the_form_that_the_server_knows() -> None:
    with stage(saying("{}")) as on:
        on.end(question(schema=SCHEMA))
        wanted = {"name": "answer", "strict": True, "schema": json.loads(SCHEMA)}
        assert on.body["response_format"] == {"type": "json_schema", "json_schema": wanted}
    with stage(saying("{}"), models=PYTHON) as on:
        on.end(question(schema=SCHEMA))
        assert on.body["response_format"] == {"type": "json_object", "schema": json.loads(SCHEMA)}


def test_a_reply_that_was_cut_is_not_taken_for_one_that_follows_its_schema() -> None:
    with stage(saying('{"a"', reason="length")) as on:
        assert not on.end(question(schema=SCHEMA)).complete


def test_a_grammar_goes_where_it_is_followed_and_nowhere_else() -> None:
    asked = question(grammar='root ::= "x"')
    with stage(saying("x"), models=LLAMA) as on:
        on.end(asked)
        assert on.body["grammar"] == 'root ::= "x"'
    with stage(saying("x")) as on:
        on.end(asked)
        assert on.body["structured_outputs"] == {"grammar": 'root ::= "x"'}
    with stage(saying("x"), models=OTHER) as on:
        assert "grammar" in str(on.fails(RequestInvalid, asked))
        assert on.server.heard == []


def test_a_reply_goes_on_where_the_server_can_and_nowhere_else() -> None:
    asked = Request((Message("user", "hi"), Message("assistant", "<think>Hel")), GREEDY)
    with stage(saying("lo"), models=LLAMA) as on:
        assert on.end(asked).text == "lo"
        assert (on.body["continue_final_message"], on.body["add_generation_prompt"]) == (True, False)
    for models in (PYTHON, OLLAMA, OTHER):
        with stage(saying("lo"), models=models) as on:
            assert "begun" in str(on.fails(RequestInvalid, asked))


def test_several_answers_of_one_request() -> None:
    parts = (chunk("a", index=0), chunk("b", index=1), chunk(index=1, reason="stop"), chunk(index=0, reason="stop"))
    with stage(streaming(*parts, usage(5, 2), DONE)) as on:
        events = on.ask(question(sampling=Sampling(seed=3), answers=2))
        last = events[-1]
        assert isinstance(last, Finished)
        assert [(one.text, one.seed) for one in last.answers] == [("a", 3), ("b", 4)]
        assert [event.index for event in events if isinstance(event, Answered)] == [1, 0]
        assert on.body["n"] == 2


@pytest.mark.parametrize("first", [saying("a"), refusing(400, {"error": {"message": "n must be 1"}})])
def test_several_answers_of_a_server_that_knows_one_at_a_time(first: Any) -> None:
    with stage(first, saying("x"), saying("y")) as on:
        last = on.end(question(sampling=Sampling(seed=3), answers=2))
        assert len(last.answers) == 2
        assert all(one.text and one.reason == "eog" for one in last.answers)
        assert on.body["seed"] == 4
        assert "n" not in on.body


def test_what_a_server_may_leave_aside_is_told() -> None:
    asked = question(sampling=Sampling(top_k=3, typical_p=0.5, mirostat=2))
    with stage(saying("x"), models=LLAMA) as on:
        assert notices(on.ask(asked)) == []
        assert on.body["mirostat"] == 2
    with stage(saying("x"), models=OTHER) as on:
        told = " ".join(notices(on.ask(asked)))
        assert "pass over top_k, typical_p" in told
        assert "does not know mirostat" in told
        assert "mirostat" not in on.body
        assert on.body["top_k"] == 3


def test_thinking_is_turned_off_in_the_way_of_the_server() -> None:
    with stage(saying("x")) as on:
        on.end(question(think="off", think_budget=50))
        assert on.body["chat_template_kwargs"] == {"enable_thinking": False}
        assert on.body["thinking_token_budget"] == 50
    with stage(saying("x"), models=OLLAMA) as on:
        on.end(question(think="off"))
        assert on.body["reasoning_effort"] == "none"


def test_a_bias_goes_by_the_ids_of_the_server() -> None:
    asked = question(sampling=Sampling(logit_bias=("#5=2", "yes=-inf")))
    with stage(saying("x"), models=LLAMA, ways={"/tokenize": {"tokens": [8, 9]}}) as on:
        on.end(asked)
        assert on.body["logit_bias"] == {"5": 2.0, "8": -100.0, "9": -100.0}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (question(beams=2), "beams"),
        (question(sampling=Sampling(top_p=2.0)), "top_p"),
        (question(""), "empty"),
    ],
)
def test_what_cannot_be_asked_is_not_sent(asked: Request, word: str) -> None:
    with stage(saying("x")) as on:
        assert word in str(on.fails(RequestInvalid, asked))
        assert on.server.heard == []


def test_what_no_server_does_is_refused() -> None:
    with stage(saying("x"), models=OTHER) as on:
        asked = question()
        for call in (
            lambda: list(on.engine.score(asked, ("x",))),
            lambda: list(on.engine.peek(asked, 3)),
            lambda: list(on.engine.perplexity("x")),
            lambda: on.engine.pieces("x"),
            lambda: on.engine.tokenize("x"),
            lambda: on.engine.render(asked),
        ):
            with pytest.raises(RequestInvalid):
                call()
        on.engine.forget("chat")
        assert (on.server.heard, on.server.counted) == ([], [])


def test_a_model_is_found_by_its_name() -> None:
    two = ({"id": "a:latest", "owned_by": "library"}, {"id": "/m/b.gguf", "owned_by": "library"})
    for name, sent in (("a", "a:latest"), ("b", "/m/b.gguf"), ("a:latest", "a:latest")):
        with stage(saying("x"), models=two, spec={"model": name}) as on:
            on.end()
            assert on.body["model"] == sent


def test_a_server_that_lists_nothing_is_asked_for_the_model_that_was_named() -> None:
    with stage(saying("x"), list_plays=[refusing(404)], spec={"model": "gpt"}) as on:
        assert (on.end().text, on.body["model"]) == ("x", "gpt")


def test_an_older_llama_server_tells_its_context_elsewhere() -> None:
    props = {"/props": {"default_generation_settings": {"n_ctx": 640}}}
    with stage(saying("x"), models=({"id": "tiny", "owned_by": "llamacpp"},), ways=props) as on:
        [loaded] = [event for event in on.engine.load() if isinstance(event, Loaded)]
        assert loaded.model.n_ctx == 640


def test_a_context_that_the_server_does_not_tell_is_that_of_the_config() -> None:
    with stage(models=OTHER, spec={"n_ctx": 99}) as on:
        assert on.engine.measure(question()).n_ctx == 99
    with stage(models=OTHER) as on:
        measured = on.engine.measure(question("x" * 35))
        assert (measured.n_ctx, measured.exact, measured.messages) == (0, False, (14,))


def test_counts_of_the_server_go_before_estimates() -> None:
    ways = {"/apply-template": {"prompt": "<hello>"}, "/tokenize": {"tokens": [1, 2, 3, 4, 5, 6, 7]}}
    asked = Request((Message("system", "aaaa"), Message("user", "bbbb")))
    with stage(models=LLAMA, ways=ways) as on:
        measured = on.engine.measure(asked)
        assert (measured.total, measured.exact, measured.n_ctx, len(measured.messages)) == (7, True, 512, 2)
        assert on.engine.render(asked).text == "<hello>"
    with stage(ways={"/tokenize": {"count": 11, "max_model_len": 2048, "tokens": []}}) as on:
        assert on.engine.measure(asked).total == 11


def test_a_server_that_any_request_interrupts_is_not_asked_to_count() -> None:
    with stage(models=PYTHON, ways={"/extras/tokenize/count": {"count": 4}}) as on:
        assert not on.engine.measure(question()).exact
        assert not on.server.counted


def test_a_reply_that_ends_without_a_word_or_a_reason_is_told() -> None:
    for models, hint in ((PYTHON, "--interrupt_requests"), (OTHER, "may be cut")):
        with stage(streaming(DONE), models=models) as on:
            [notice] = notices(on.ask())
            assert hint in notice


def test_a_server_that_does_not_count_after_all_is_asked_once() -> None:
    with stage(models=LLAMA) as on:
        assert [on.engine.measure(question()).exact for _ in range(3)] == [False] * 3
        assert len(on.server.counted) == 1


HUGE = 10**30
ODD = {
    "a reply that nobody asked for": {"choices": [{"index": -5, "delta": {"content": "x"}}]},
    "one that no list has": {"choices": [{"index": HUGE, "delta": {"content": "x"}}]},
    "counts of any size": {"choices": [], "usage": {"prompt_tokens": HUGE, "completion_tokens": 2**63}},
    "counts below nothing": {"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": -1}},
    "times without end": {"choices": [], "timings": {"prompt_ms": float("inf"), "predicted_ms": float("nan")}},
    "times below nothing": {"choices": [], "timings": {"prompt_ms": -1.0, "predicted_ms": -1.0, "predicted_n": -1}},
}


@pytest.mark.parametrize("told", ODD.values(), ids=ODD)
def test_numbers_that_cannot_be_are_passed_over(told: dict[str, Any]) -> None:
    with stage(streaming(chunk("a"), event(told), chunk(reason="stop"), DONE), models=OTHER) as on:
        last = on.end()
    assert (last.text, last.reply_tokens) == ("a", 1)
    assert 0 < last.prompt_tokens < 100
    assert 0 <= last.prefill_seconds < 3600
    assert 0 <= last.decode_seconds < 3600


@pytest.mark.parametrize(
    ("told", "logprob"), [("NaN", 0.0), ("500", 0.0), ("-Infinity", float("-inf")), ("-0.5", -0.5)]
)
def test_a_probability_is_at_most_certain(told: str, logprob: float) -> None:
    likely = f'{{"id": {HUGE}, "token": "b\\ud800", "logprob": {told}}}'
    said = f'{{"id": -7, "token": "a", "logprob": {told}, "top_logprobs": [{likely}]}}'
    one = f'data: {{"choices": [{{"delta": {{"content": "a\\ud800"}}, "logprobs": {{"content": [{said}]}}}}]}}\n\n'
    with stage(streaming(one, chunk(reason="stop"), DONE)) as on:
        tokens = [one for one in on.ask(question(logprobs=1)) if isinstance(one, Token)]
    [token] = [logprob for one in tokens for logprob in one.logprobs]
    assert (token.id, token.logprob, math.isnan(token.entropy)) == (-1, logprob, True)
    assert [(other.id, other.text, other.logprob) for other in token.top] == [(-1, "b?", logprob)][told == "NaN" :]
    assert "".join(one.text for one in tokens) == "a?"


def test_keys_of_models_differ_by_server_and_name_and_not_by_run() -> None:
    with stage(models=OTHER) as one, stage(models=OTHER) as other:
        keys = [next(e.model.key for e in s.engine.load() if isinstance(e, Loaded)) for s in (one, other, one)]
        assert keys[0] == keys[2] != keys[1]


def test_garbage_between_events_is_passed_over() -> None:
    parts = (": ping\n\n", "event: message\nid: 7\nretry: 10\n", chunk("a"), "\r\n", chunk("b").replace("\n", "\r\n"))
    with stage(streaming(*parts, chunk(reason="stop"), "data:[DONE]\n\n")) as on:
        assert on.end().text == "ab"


def test_events_may_be_cut_anywhere() -> None:
    whole = (chunk("Grüße ") + chunk("😀") + chunk(reason="stop") + DONE).encode()

    def bytewise(connection: Connection) -> None:
        connection.head()
        for at in range(0, len(whole), 7):
            connection.send(whole[at : at + 7])

    with stage(bytewise) as on:
        assert on.end().text == "Grüße 😀"
