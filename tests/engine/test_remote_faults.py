"""What goes wrong with a server: each fault has its own sentence, and nothing hangs, leaks a key or goes elsewhere."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.remote_rig import notices, question, said, stage
from tests.engine.scripted_server import (
    DONE,
    Connection,
    ScriptedServer,
    answer,
    chunk,
    error,
    event,
    hanging,
    refusing,
    saying,
    streaming,
)

from llmchat_engine import ContextFull, EngineError, RemoteRefused, RemoteUnreachable
from llmchat_engine.events import Event
from llmchat_engine.remote import RemoteEngine
from llmchat_engine.remote.address import address_of, proxy_of
from llmchat_engine.remote.patience import Patience
from llmchat_engine.types import RemoteSpec

KEY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits a hundredth of what a busy server is given."""
    monkeypatch.setattr("llmchat_engine.remote.patience._FIRST", 0.01)
    monkeypatch.setattr("llmchat_engine.remote.patience._LOADING_EVERY", 0.01)


def failure(base_url: str, environ: dict[str, str] | None = None, **more: Any) -> EngineError:
    """Returns the error of a server that is nowhere."""
    engine = RemoteEngine(RemoteSpec(base_url, **more), environ or {})
    with pytest.raises(EngineError) as caught:
        list(engine.generate(question()))
    engine.close()
    return caught.value


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_nothing_listens(nobody: int) -> None:
    told = failure(f"http://127.0.0.1:{nobody}/v1")
    assert isinstance(told, RemoteUnreachable)
    assert (told.what, told.why) == (f"cannot reach 127.0.0.1:{nobody}", "nothing listens there")
    assert "start the server" in told.hint


def test_no_such_name() -> None:
    told = failure("http://nobody.invalid:1/v1")
    assert isinstance(told, RemoteUnreachable)
    assert "no address is known" in told.why


def test_a_server_that_speaks_no_tls() -> None:
    with ScriptedServer() as server:
        told = failure(server.url.replace("http", "https"))
    assert isinstance(told, RemoteUnreachable)
    assert "encrypted line" in told.why


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8000", "ftp://x/v1", "http://", "http://x:notaport/v1", "http://me:secret@x/v1", "http://x/v1?k=1"],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(RemoteRefused) as caught:
        RemoteEngine(RemoteSpec(url), {})
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_silence_has_an_end() -> None:
    with stage(hanging(), timeout=0.2) as on:
        told = on.fails(RemoteUnreachable)
        assert "silent" in told.what
        assert "0.2 s" in told.why


def test_a_server_that_lives_and_says_nothing_is_given_up() -> None:
    def pings(connection: Connection) -> None:
        connection.head()
        while not connection.leaving.wait(0.01):
            connection.send(": ping\n\n")

    with stage(pings, timeout=0.05) as on:
        assert "silent" in on.fails(RemoteUnreachable).what


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused(status: int) -> None:
    refused = refusing(status, error(f"Incorrect API key provided: {KEY}"))
    with stage(saying("x"), list_plays=[refused], spec={"key_env": "MY_KEY"}, environ={"MY_KEY": KEY}) as on:
        told = on.fails(RemoteRefused)
        assert "it is the one in MY_KEY" in told.why
        assert KEY not in f"{told} {told.hint} {told!r}"
    with stage(saying("x"), list_plays=[refusing(status)], spec={"key_env": "MY_KEY"}) as on:
        assert "MY_KEY is not set" in on.fails(RemoteRefused).why
    with stage(saying("x"), list_plays=[refusing(status)], spec={"name": "work"}) as on:
        told = on.fails(RemoteRefused)
        assert "none was sent" in told.why
        assert "[remotes.work]" in told.hint


def test_a_key_is_sent_to_its_server_and_shown_nowhere() -> None:
    with stage(saying("x"), spec={"key_env": "MY_KEY"}, environ={"MY_KEY": KEY, "OPENAI_API_KEY": "other"}) as on:
        on.end()
        assert on.server.heard[-1].headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(vars(on.engine)["_spec"])
    with stage(saying("x"), environ={"OPENAI_API_KEY": KEY}) as on:
        on.end()
        assert "Authorization" not in on.server.heard[-1].headers


@pytest.mark.parametrize(
    ("status", "field", "headers"),
    [
        (401, "message", {}),
        (400, "param", {}),
        (400, "code", {}),
        (404, "code", {}),
        (307, "message", {"Location": f"http://127.0.0.1:9/?k={KEY}"}),
        (429, "message", {"Retry_After": KEY}),
    ],
)
def test_a_key_that_a_server_repeats_is_not_passed_on(status: int, field: str, headers: dict[str, str]) -> None:
    def repeats(connection: Connection) -> None:
        answer(connection, {"error": {"message": "no", field: f"no {KEY} here"}}, status, **headers)

    with stage(repeats, spec={"key_env": "MY_KEY"}, environ={"MY_KEY": KEY}) as on:
        told = on.fails(EngineError)
        assert KEY not in f"{told} {told.hint} {told!r}"


def test_a_key_in_words_that_are_no_http_is_not_passed_on() -> None:
    def repeats(connection: Connection) -> None:
        connection.send(f"{KEY}\r\n\r\n")

    with stage(repeats, spec={"key_env": "MY_KEY"}, environ={"MY_KEY": KEY}) as on:
        assert KEY not in str(on.fails(RemoteUnreachable))


def test_a_key_that_no_header_can_hold() -> None:
    with stage(saying("x"), spec={"key_env": "MY_KEY"}, environ={"MY_KEY": "a\nb"}) as on:
        assert "no header can hold" in on.fails(RemoteRefused).why


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with (
        ScriptedServer([saying("stolen")]) as other,
        stage(
            lambda connection: answer(connection, {}, status, Location=f"{other.url}/chat/completions"),
            spec={"key_env": "MY_KEY"},
            environ={"MY_KEY": KEY},
        ) as on,
    ):
        told = on.fails(RemoteRefused)
        assert "redirects to" in told.why
        assert other.heard == []


def test_a_model_that_is_not_there() -> None:
    with stage(spec={"model": "large"}) as on:
        told = on.fails(RemoteRefused)
        assert told.what == f"{on.server.place} has no model large"
        assert told.why == "it has tiny"
    with stage(refusing(404, error("The model `tiny` does not exist", code="model_not_found"))) as on:
        on.fails(RemoteRefused)


def test_several_models_and_none_named() -> None:
    with stage(models=({"id": "a"}, {"id": "b"})) as on:
        told = on.fails(RemoteRefused)
        assert "several" in told.what
        assert told.why == "it has a, b"
        assert "-m openai:a" in told.hint


def test_no_model_at_all() -> None:
    with stage(models=()) as on:
        assert "no model" in on.fails(RemoteRefused).what


def test_a_url_that_lacks_v1() -> None:
    with ScriptedServer(list_plays=[refusing(404, {"detail": "Not Found"})]) as server:
        told = failure(f"http://{server.place}")
        assert told.hint == f"the URL may lack /v1: --base-url http://{server.place}/v1"


OVERFLOWS = [
    ({"message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
      "type": "exceed_context_size_error", "code": 400}, 5000, 4096),
    ({"message": "This model's maximum context length is 4097 tokens. However, you requested 4102 tokens (102 in the"
      " messages, 4000 in the completion).", "code": "context_length_exceeded"}, 4102, 4097),
    ({"message": "The decoder prompt (length 5000) is longer than the maximum model length of 2048."}, 5000, 2048),
    ({"message": "You passed 30,000 input tokens and requested 1 output tokens. However, the model's context length is"
      " only 8192 tokens"}, 30000, 8192),
    ({"message": "prompt too long; exceeded max context length by 4 tokens"}, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("told", "prompt", "n_ctx"), OVERFLOWS)
def test_a_prompt_that_does_not_fit(told: dict[str, Any], prompt: int, n_ctx: int) -> None:
    with stage(refusing(400, {"error": told})) as on:
        full = on.fails(ContextFull)
        assert isinstance(full, ContextFull)
        assert (full.prompt_tokens, full.n_ctx) == (prompt, n_ctx)
        assert told["message"] in full.why
    with stage(streaming(event({"error": told}))) as on:
        on.fails(ContextFull)


def test_a_server_that_breaks_off_without_a_word_on_a_prompt_that_cannot_fit() -> None:
    with stage(streaming()) as on:
        assert "about" in on.fails(ContextFull, question("x" * 9000)).why
        assert "broke off" in on.fails(RemoteUnreachable, question("short")).what


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    with stage(refusing(status), refusing(status, Retry_After="0.01"), saying("late")) as on:
        assert on.end().text == "late"
        assert len(on.server.heard) == 3


def test_a_busy_server_is_not_asked_for_ever() -> None:
    with stage(refusing(503, error("overloaded"))) as on:
        told = on.fails(RemoteUnreachable)
        assert "overloaded" in told.why
        assert len(on.server.heard) == 4
    with stage(refusing(429, error("slow down"), Retry_After="3600")) as on:
        assert "asked too much" in on.fails(RemoteRefused).what
        assert len(on.server.heard) == 1


def test_a_model_that_is_being_loaded_is_waited_for() -> None:
    loading = refusing(503, error("Loading model"))
    with stage(saying("x"), list_plays=[loading] * 6) as on:
        assert on.end().text == "x"


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_failure_that_will_not_pass_is_told_at_once(status: int) -> None:
    with stage(refusing(status, error("no"))) as on:
        on.fails(RemoteUnreachable if status == 500 else RemoteRefused)
        assert len(on.server.heard) == 1


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (error("Unsupported parameter: 'top_k' is not supported", param="top_k"), "does not take top_k"),
        (error("Unrecognized request argument supplied: top_k"), "does not take top_k"),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "must be positive"}]}, "refuses the request"),
        ({"object": "error", "message": "no such thing"}, "refuses the request"),
        ({"error": "plain words"}, "refuses the request"),
    ],
)
def test_what_a_server_does_not_take_is_named(told: Any, what: str) -> None:
    with stage(refusing(400, told)) as on:
        refused = on.fails(RemoteRefused)
        assert what in refused.what
        assert "it says: " in refused.why


def test_what_came_before_a_break_has_been_told_and_is_not_asked_again() -> None:
    with stage(streaming(chunk("half of"))) as on:
        seen: list[Event] = []

        def take() -> None:
            for event in on.engine.generate(question()):
                seen.append(event)

        with pytest.raises(RemoteUnreachable) as caught:
            take()
        assert "broke off" in caught.value.what
        assert (said(seen), len(on.server.heard)) == ("half of", 1)


def test_a_failure_in_the_middle() -> None:
    with stage(streaming(chunk("a"), event(error("cuda error", code=500)))) as on:
        assert "cuda error" in on.fails(RemoteUnreachable).why
    with stage(streaming(f"error: {event(error('gone'))[6:]}")) as on:
        assert "gone" in on.fails(RemoteUnreachable).why


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {not json\n\n",
        b"data: [1, 2]\n\n",
        b'data: {"choices": "x"}\n\n',
        b"data: " + b"[" * 5000 + b"\n\n",
        b"data: \xff\xfe\n\n",
        b"data: " + b"x" * (2 << 20) + b"\n\n",
        b"x" * (2 << 20),
    ],
)
def test_garbage_is_an_error_and_no_hang(garbage: bytes) -> None:
    with stage(streaming(garbage)) as on:
        on.fails(RemoteUnreachable)


def test_a_web_page_is_no_list_of_models() -> None:
    def page(connection: Connection) -> None:
        connection.head(200, "text/html")
        connection.send("<!doctype html><title>hello</title>")

    with stage(list_plays=[page]) as on:
        assert "web page" in on.fails(RemoteUnreachable).why


def test_a_list_without_end_is_cut() -> None:
    def endless(connection: Connection) -> None:
        connection.head(200, "application/json")
        while not connection.leaving.is_set():
            connection.send(b" " * 65536)

    with stage(list_plays=[endless]) as on:
        assert "too long" in on.fails(RemoteUnreachable).what


def test_a_page_of_an_error_is_not_shown() -> None:
    def page(connection: Connection) -> None:
        connection.head(500, "text/html")
        connection.send("<html>" + "stack trace " * 1000)

    with stage(page) as on:
        assert on.fails(RemoteUnreachable).why == "its status is 500"


def test_a_failed_greeting_is_tried_again_with_the_next_request() -> None:
    with stage(saying("x"), list_plays=[refusing(500)]) as on:
        on.fails(RemoteUnreachable)
        assert on.end().text == "x"


def test_a_proxy_of_the_environment_is_for_others() -> None:
    proxied = {"http_proxy": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"}
    with stage(saying("direct"), environ=proxied) as on:
        assert on.end().text == "direct"


def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_engine.remote.asking._TOLD_FROM", 0.0)
    with stage(refusing(429, Retry_After="0.01"), saying("x")) as on:
        assert any("is busy; it is asked again in" in text for text in notices(on.ask()))


def test_a_model_that_loads_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_engine.remote.asking.Patience", lambda _seconds: Patience(0.05))
    with stage(refusing(503, error("Loading model"))) as on:
        assert "Loading model" in on.fails(RemoteUnreachable).why


def test_only_done_is_an_empty_answer() -> None:
    with stage(streaming(DONE)) as on:
        assert on.end().text == ""


@pytest.mark.parametrize(
    ("host", "environ", "proxy"),
    [
        ("http://far/v1", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("http://far/v1", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://far/v1", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://far/v1", {"all_proxy": "http://p:1", "no_proxy": "near"}, "http://p:1"),
        ("https://a.far/v1", {"https_proxy": "http://p:1", "no_proxy": "near, .far"}, None),
        ("https://far:8443/v1", {"https_proxy": "http://p:1", "NO_PROXY": "far:8443"}, None),
        ("https://far/v1", {"https_proxy": "http://p:1", "no_proxy": "*"}, None),
        ("https://farther/v1", {"https_proxy": "http://p:1", "no_proxy": "far"}, "http://p:1"),
        ("http://localhost:1/v1", {"http_proxy": "http://p:1"}, None),
        ("http://[::1]:1/v1", {"http_proxy": "http://p:1"}, None),
    ],
)
def test_which_proxy(host: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_of(address_of(host), environ) == proxy


def test_a_proxy_that_is_not_spoken() -> None:
    with pytest.raises(RemoteRefused):
        proxy_of(address_of("https://far/v1"), {"https_proxy": "socks5://p:1"})
