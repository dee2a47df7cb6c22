"""`llmchat ask` over a server: how it is named, what is told of it, which exit code a failure has, where a key goes."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.scripted_server import ScriptedServer, chunk, error, refusing, saying, streaming
from tests.tui.asking import Asked, captured, environment

from llmchat_engine import RemoteRefused
from llmchat_tui.cli import run
from llmchat_tui.cli.app import App
from llmchat_tui.history import History

KEY = "sk-canary-0123456789"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that says hello."""
    with ScriptedServer([saying("Hello", " there.")]) as server:
        yield server


def llmchat(home: Path, *arguments: str, stdin: bytes | None = None, **environ: str) -> Asked:
    """Runs a command line that asks a real engine."""
    app = App(environ=environment(home, **environ))
    with captured(stdin) as (out, err):
        code = run(app, list(arguments))
    return Asked(code, out.getvalue().decode(), err.getvalue().decode())


def configure(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)


def test_a_model_at_an_address(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "-m", "openai:tiny", "--base-url", server.url, "hi", "-u")
    assert (asked.code, asked.out) == (0, "Hello there.\n")
    assert f"asked {server.place} · 12 prompt" in asked.err
    assert server.heard[-1].body["model"] == "tiny"
    assert server.heard[-1].body["messages"][-1] == {"role": "user", "content": "hi"}


def test_an_address_alone_asks_its_only_model(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "--base-url", f"{server.url}/", "hi")
    assert (asked.code, asked.out) == (0, "Hello there.\n")


def test_the_address_of_the_environment(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "-m", "openai:tiny", "hi", LLMCHAT_BASE_URL=server.url)
    assert (asked.code, asked.out) == (0, "Hello there.\n")


def test_a_server_of_the_config(home: Path, server: ScriptedServer) -> None:
    table = f'[remotes.work]\nbase_url = "{server.url}"\nkey_env = "WORK_KEY"\nctx = 700\n'
    configure(home, f'{table}[aliases]\nw = "openai:work"\n')
    for name in ("openai:work", "openai:work/tiny", "w"):
        asked = llmchat(home, "ask", "-m", name, "hi", "--json", WORK_KEY=KEY)
        assert asked.code == 0, asked.err
        assert json.loads(asked.out)["model"]["remote"] == server.place
        assert server.heard[-1].headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in asked.out + asked.err


def test_the_server_is_the_default(home: Path, server: ScriptedServer) -> None:
    configure(home, f'model = "openai:work"\n[remotes.work]\nbase_url = "{server.url}"\n')
    assert llmchat(home, "ask", "hi", LLMCHAT_MODEL="").out == "Hello there.\n"


def test_a_key_of_the_config_goes_to_no_address_that_was_typed(home: Path, server: ScriptedServer) -> None:
    configure(home, '[remotes.tiny]\nbase_url = "http://127.0.0.1:1/v1"\nkey_env = "WORK_KEY"\n')
    asked = llmchat(home, "ask", "-m", "openai:tiny", "--base-url", server.url, "hi", WORK_KEY=KEY)
    assert asked.code == 0
    assert "Authorization" not in server.heard[-1].headers


def test_settings_of_one_model_hold_for_one_on_a_server(home: Path, server: ScriptedServer) -> None:
    table = f'[remotes.work]\nbase_url = "{server.url}"\n'
    configure(home, f'{table}[models."openai:work"]\ntemperature = 0.25\nsystem = "Be brief."\n')
    assert llmchat(home, "ask", "-m", "openai:work", "hi").code == 0
    assert server.heard[-1].body["temperature"] == 0.25
    assert server.heard[-1].body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_json_tells_what_is_known(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "--base-url", server.url, "hi", "--json", "--temperature", "0")
    found = json.loads(asked.out)
    assert (found["model"]["name"], found["model"]["path"], found["token_ids"]) == ("tiny", "", [])
    assert (found["usage"]["prompt_tokens"], found["usage"]["exact"]) == (12, True)
    assert (found["sampling"]["temperature"], found["sampling"]["top_k"]) == (0.0, None)


def test_everything_about_a_run(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "--base-url", server.url, "hi", "--verbose", "--temperature", "0")
    assert f"runs on     {server.place} · vLLM" in asked.err
    assert "chosen by   the server, temperature 0" in asked.err


def test_a_reply_is_kept_with_where_it_came_from(home: Path, server: ScriptedServer) -> None:
    llmchat(home, "ask", "--base-url", server.url, "hi")
    with History.open(home / "chats.db") as history:
        latest = history.latest()
        assert latest is not None
        reply = history.messages(latest.id)[-1]
    assert (reply.text, reply.settings["remote"], reply.settings["model"]) == ("Hello there.", server.place, "tiny")
    assert reply.token_ids == ()


def test_a_chat_goes_on(home: Path, server: ScriptedServer) -> None:
    llmchat(home, "ask", "--base-url", server.url, "first")
    llmchat(home, "ask", "-c", "--base-url", server.url, "second")
    said = [message["content"] for message in server.heard[-1].body["messages"]]
    assert said == ["first", "Hello there.", "second"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_failure_of_a_server_is_exit_6(home: Path, status: int) -> None:
    with ScriptedServer([refusing(status, error("no"))]) as server:
        asked = llmchat(home, "ask", "--base-url", server.url, "hi")
    assert asked.code == 6
    assert "llmchat: error: " in asked.err
    assert "hint: " in asked.err


def test_no_server_is_exit_6_and_the_question_is_kept(home: Path) -> None:
    asked = llmchat(home, "ask", "--base-url", "http://127.0.0.1:1/v1", "hi")
    assert (asked.code, asked.out) == (6, "")
    assert "nothing listens there" in asked.err
    with History.open(home / "chats.db") as history:
        latest = history.latest()
        assert latest is not None
        assert history.messages(latest.id)[0].text == "hi"


def test_a_proxy_that_is_not_there_is_named(home: Path) -> None:
    asked = llmchat(home, "ask", "--base-url", "http://192.0.2.1/v1", "hi", http_proxy="http://me:pw@127.0.0.1:1")
    assert asked.code == 6
    assert "by the proxy of the environment: nothing listens there" in asked.err
    assert "pw" not in asked.err


def test_a_stream_that_breaks_off_keeps_what_came(home: Path) -> None:
    with ScriptedServer([streaming(chunk("half of"))]) as server:
        asked = llmchat(home, "ask", "--base-url", server.url, "hi")
    assert (asked.code, asked.out.strip()) == (6, "half of")
    with History.open(home / "chats.db") as history:
        latest = history.latest()
        assert latest is not None
        reply = history.messages(latest.id)[-1]
    assert (reply.text, reply.status) == ("half of", "failed")


def test_a_prompt_that_does_not_fit_is_exit_4(home: Path) -> None:
    told = error("too much", code="context_length_exceeded")
    with ScriptedServer([refusing(400, told)]) as server:
        assert llmchat(home, "ask", "--base-url", server.url, "hi").code == 4


def test_a_context_that_nobody_knows_is_not_full(home: Path) -> None:
    with ScriptedServer([saying("ok")], models=({"id": "tiny"},)) as server:
        for more in ((), ("-c",)):
            asked = llmchat(home, "ask", *more, "--base-url", server.url, "x" * 40_000, "-u")
            assert (asked.code, asked.out) == (0, "ok\n"), asked.err
        assert len(server.heard[-1].body["messages"]) == 3


def test_older_turns_leave_a_context_that_is_known(home: Path) -> None:
    with ScriptedServer([saying("ok")], models=({"id": "tiny", "max_model_len": 2048},)) as server:
        for more in ((), ("-c",), ("-c",)):
            asked = llmchat(home, "ask", *more, "--base-url", server.url, "x" * 3000)
            assert asked.code == 0, asked.err
        assert "not seen by the model any more" in asked.err
        assert len(server.heard[-1].body["messages"]) < 5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("-m", "openai:nobody"), "there is no server 'nobody'"),
        (("-m", "openai:"), "no server is named"),
        (("-m", "tiny", "--base-url", "http://x/v1"), "--base-url is about a server"),
        (("--base-url", "nonsense"), "not the address of a server"),
        (("--base-url", "http://me:pw@x/v1"), "not the address of a server"),
    ],
)
def test_what_names_no_server(home: Path, arguments: tuple[str, ...], word: str) -> None:
    asked = llmchat(home, "ask", *arguments, "hi")
    assert (asked.code, asked.out) == (2, "")
    assert word in asked.err
    assert "hint: " in asked.err
    assert "pw" not in asked.err


def test_the_servers_there_are_are_named(home: Path) -> None:
    configure(home, '[remotes.work]\nbase_url = "http://127.0.0.1:1/v1"\n')
    assert "there is work in [remotes]" in llmchat(home, "ask", "-m", "openai:home", "hi").err


@pytest.mark.parametrize("command", [("tokenize", "hi"), ("next", "hi"), ("bench", "--quick")])
def test_what_measures_a_file_says_that_it_needs_one(home: Path, server: ScriptedServer, command: tuple[str]) -> None:
    asked = llmchat(home, *command, "-m", "openai:tiny", "--base-url", server.url, stdin=b"")
    assert asked.code == 2
    assert "runs on a server" in asked.err
    assert server.heard == []


def test_beams_are_refused(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "--base-url", server.url, "--beams", "2", "hi")
    assert asked.code == 2
    assert "beams" in asked.err


def test_a_schema_that_the_server_does_not_keep_is_exit_5(home: Path, server: ScriptedServer) -> None:
    asked = llmchat(home, "ask", "--base-url", server.url, "--schema", "age int", "hi")
    assert asked.code == 5


def test_several_answers(home: Path) -> None:
    with ScriptedServer([saying("one"), saying("two")]) as server:
        asked = llmchat(home, "ask", "--base-url", server.url, "--answers", "2", "hi")
    assert asked.code == 0
    assert "one" in asked.out
    assert "two" in asked.out


def test_a_chain_of_thought_goes_on_behind_its_reasons(home: Path) -> None:
    with ScriptedServer([saying("2 and 2 are 4."), saying(" 4")]) as server:
        asked = llmchat(home, "ask", "--base-url", server.url, "--cot", "zero-shot", "2 + 2?")
    assert (asked.code, asked.out) == (0, "4\n"), asked.err
    assert server.heard[-1].body["continue_final_message"] is True


def test_an_eval_asks_a_server(home: Path, server: ScriptedServer) -> None:
    questions = home.parent / "set.jsonl"
    questions.write_text('{"question": "hi", "answer": "Hello there."}\n')
    asked = llmchat(home, "eval", str(questions), "-m", "openai:tiny", "--base-url", server.url)
    assert asked.code == 0, asked.err
    assert "1/1" in asked.out


def test_what_a_server_says_is_data(home: Path) -> None:
    with ScriptedServer([refusing(400, error("bad \x1b[31mred\x1b]0;title\x07"))]) as server:
        asked = llmchat(home, "ask", "--base-url", server.url, "hi")
    assert "\x1b" not in asked.err


def test_a_key_is_in_no_traceback_and_no_file(home: Path) -> None:
    with ScriptedServer([refusing(401, error(f"bad key {KEY}"))]) as server:
        configure(home, f'[remotes.work]\nbase_url = "{server.url}"\nkey_env = "WORK_KEY"\n')
        with pytest.raises(RemoteRefused) as caught:
            llmchat(home, "--debug", "ask", "-m", "openai:work", "hi", WORK_KEY=KEY)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert kept
    assert all(KEY.encode() not in path.read_bytes() for path in kept)
