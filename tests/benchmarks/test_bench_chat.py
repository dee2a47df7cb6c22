"""`llmchat bench`: a whole run on a tiny model, what the values come to, and the same chat with another program."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.benchmarks import page
from tests.benchmarks.chats import play
from tests.benchmarks.peers import Heard
from tests.benchmarks.server_peer import ServerMissing, content_of, install
from tests.benchmarks.targets import CHAT_ROWS, LLAMA, SERVER, of_peer, targets
from tests.benchmarks.test_bench import a_result
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine import Finished, Message, Request, Sampling
from llmchat_engine.events import Restored, nothing_generated
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.cli import bench_chat, bench_round, cli, run
from llmchat_tui.cli.app import App
from llmchat_tui.cli.bench_chat import Conversation, chat_length, write_script
from llmchat_tui.cli.bench_clock import Answer, cut, prose_of
from llmchat_tui.cli.bench_depths import Depth, Floor, memory_bandwidth
from llmchat_tui.cli.bench_ratios import add_round, ratios
from llmchat_tui.cli.bench_report import Row, Samples, table
from llmchat_tui.cli.bench_round import Alive, Round


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_chat, "PAUSE", 0.0)


def finished(**values: object) -> Finished:
    return replace(nothing_generated(Request((Message("user", "?"),))), **values)  # type: ignore[arg-type]


def answer(to_first: float, evaluated: int = 1, cached: int = 2999, ids: tuple[int, ...] = ()) -> Answer:
    prompt = cached + evaluated
    done = finished(prompt_tokens=prompt, cached_tokens=cached, prefilled_tokens=evaluated, token_ids=ids)
    return Answer(done, to_first, to_first)


def a_round(turn10: float = 1.1, again: float = 0.04, ids: tuple[int, ...] = (1, 2)) -> Round:
    """Returns a round with round numbers: 100 tokens a second at any depth, 10 ms a step."""
    turns = (*[answer(0.5, 50, 50)] * 9, answer(turn10, 100, 2900))
    alive = Alive(turns, (answer(again),), answer(0.02), answer(0.02), answer(0.2, 20), answer(0.02, ids=(1, 2)), 2**28)
    depths = tuple(Depth(depth, 1.0, 100, 0.01) for depth in (0, 1500, 3000))
    nothing = {2: answer(1.0, 100, 0), 10: answer(10.0, 3000, 0)}
    return Round(FAKE_MODEL, (0.2,), alive, answer(0.1, ids=ids), answer(0.3, 20), nothing, depths, depths[-1])


def test_ratios_are_medians_of_what_one_round_gave() -> None:
    found = ratios([a_round(), a_round(1.2, 0.05), a_round(9.9, 0.06)])
    assert found.turn10_ttft == pytest.approx(1.2 / (1.0 + 0.01), abs=1e-4)
    assert found.regenerate_steps == pytest.approx((0.05 - 0.01) / 0.01)
    assert (found.switch_back_tokens, found.reopen, found.reopen_bit_equal) == (1, 0.01, True)


def test_one_round_that_went_on_differently_is_told() -> None:
    assert not ratios([a_round(), a_round(ids=(1, 3))]).reopen_bit_equal


def test_ratios_are_targets() -> None:
    met = {target.name: target.met for target in targets({}, ratios([a_round(), a_round(), a_round(again=1)]))}
    assert met == {
        "turn10_ttft": True,
        "regenerate_steps": True,
        "switch_back_tokens": True,
        "reopen": True,
        "reopen_bit_equal": True,
    }
    missed = targets({}, ratios([a_round(2.0, 0.5, (3,))]))
    assert [target.name for target in missed if not target.met] == [
        "turn10_ttft",
        "regenerate_steps",
        "reopen_bit_equal",
    ]


def test_a_floor_reads_the_model_once_and_the_context_once() -> None:
    depths = (Depth(0, 1.0, 100, 0.01), Depth(1000, 2.0, 100, 0.02))
    floor = Floor(bandwidth=1e9, model=10_000_000, per_token=10_000, depths=depths)
    assert floor.step(1000) == pytest.approx(0.02)
    assert floor.moved(100) == pytest.approx(0.001)
    assert floor.first_token(999, 1) == pytest.approx(floor.step(1000))
    assert floor.first_token(0, 101) == pytest.approx(100 * (0.01 + 0.01 * 50 / 1000) + floor.step(101))
    assert floor.first_token(5000, 101) == pytest.approx(100 * 0.02 + floor.step(5101))


def test_what_came_back_from_disk_was_read_once_more() -> None:
    samples, floor = Samples(), Floor(1e9, 10_000_000, 10_000, (Depth(0, 1.0, 100, 0.01),))
    found = a_round()
    back = replace(found.reopened, finished=replace(found.reopened.finished, restored=Restored(3000, 0.01, "disk")))
    add_round(samples, replace(found, reopened=back), floor)
    floors = {row.name: row.floor for row in samples.rows()}
    assert floors["reopened, last reply continued"] == pytest.approx(floor.step(3000) * 1000 + 30)


def test_the_table_shows_the_floor_beside_the_value() -> None:
    (line,) = table([Row("decode", "tokens/s", 98.13, (90.0, 100.0), "a note", 256.2)])
    assert line.split() == ["decode", "98.1", "tokens/s", "90.0", "to", "100", "floor", "256", "a", "note"]


def test_memory_is_read_at_some_speed() -> None:
    assert memory_bandwidth(2, 1 << 20) > 1e8


def test_text_is_cut_to_a_number_of_tokens() -> None:
    engine = FakeEngine()
    assert cut(engine, "one two three four", 2).split() == ["one", "two"]
    assert len(engine.tokenize(prose_of(engine, 50, 3))) == 50


def test_a_chat_leaves_a_quarter_of_the_context_free() -> None:
    assert (chat_length(8192), chat_length(1024)) == (3000, 768)


def test_a_chat_can_be_asked_again_gone_on_with_and_come_back_to() -> None:
    engine = FakeEngine(scripts=[Script("first reply"), Script("second reply"), Script("another")])
    chat = Conversation(engine, "bench", replace(write_script(engine, 0, 800, 2), system="Be brief."), FAKE_MODEL.key)
    told: list[int] = []
    chat.play(told.append)
    path = chat.path
    _, new = chat.regenerate()
    chat.go_on(new)
    chat.come_back()
    chat.from_nothing(2)
    again, gone_on, back, nothing = engine.requests[2:]
    assert told == [1, 2]
    assert again.messages == path[:-1]
    assert gone_on.messages[-1] == Message("assistant", "another", (0,), FAKE_MODEL.key)
    assert back.messages[:-1] == path == chat.path
    assert nothing.private
    assert [message.role for message in nothing.messages] == ["system", "user", "assistant", "user"]
    assert nothing.messages[0] != path[0]
    assert nothing.messages[1:] == path[1:-1]


class FakePeer:
    """Answers at once; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[Mapping[str, str]]] = []
        self.closed = False

    def chat(self, messages: Sequence[Mapping[str, str]], tokens: int, temperature: float) -> Heard:
        assert not self.closed
        self.asked.append(list(messages))
        return Heard(len(self.asked) / 1000, f"reply {len(self.asked)}")

    def close(self) -> None:
        self.closed = True


def test_another_program_plays_the_same_chat() -> None:
    started: list[FakePeer] = []

    def start() -> FakePeer:
        started.append(FakePeer())
        return started[-1]

    script = bench_chat.Script("Be brief.", ("one", "two"), 5, "and back")
    values = play(start, script, bench_chat.Script("Be brief.", ("elsewhere",), 5), pause=0)
    first, second = started
    assert values == pytest.approx(dict(zip(CHAT_ROWS, (2, 5, 9, 1), strict=True)))
    assert first.closed
    assert second.closed
    assert first.asked[-1] == second.asked[0]
    assert [message["content"] for message in second.asked[0]] == [
        *("Be brief.", "one", "reply 1", "two", "reply 2"),
        "and back",
    ]


def test_the_stream_of_a_server_is_read() -> None:
    chunk = json.dumps({"choices": [{"delta": {"content": "Hi"}}]}).encode()
    assert content_of(b"data: " + chunk + b"\r\n") == "Hi"
    assert [content_of(line) for line in (b"data: [DONE]\n", b": ping\n", b"\n")] == ["", "", ""]
    assert content_of(b'data: {"choices": [{"delta": {"role": "assistant"}}]}') == ""


def test_a_server_that_cannot_be_installed_is_told(tmp_path: Path) -> None:
    pip = tmp_path / "python"
    pip.write_text(f"#!{sys.executable}\nimport sys; print('no network', file=sys.stderr); sys.exit(1)\n")
    pip.chmod(0o700)
    with pytest.raises(ServerMissing, match="no network"):
        install(tmp_path / "libraries", ("fastapi",), str(pip))


def test_the_chat_stands_in_the_readme_where_all_were_measured() -> None:
    samples = Samples()
    for row in CHAT_ROWS:
        for number, name in enumerate((row, of_peer(row, LLAMA), of_peer(row, SERVER))):
            samples.add(name, "ms", 12.4 + 1000 * number)
    result = a_result()
    result = replace(result, report=replace(result.report, rows=samples.rows()))
    before = "a\n<!-- chat -->\nthe chat before\n<!-- end -->\nb\n"
    after = page.with_chat(before, result)
    assert "| reopened, short question | 12 ms | 1,012 ms | 2,012 ms |\n" in after
    assert "the chat before" not in after
    assert page.with_chat(before, a_result()) == before


@pytest.fixture
def app(tmp_path: Path) -> App:
    model = tiny_llama(tmp_path / "tiny.gguf")
    return App({"LLMCHAT_HOME": str(tmp_path / "home"), "LLMCHAT_MODEL": str(model), "PATH": "/bin"})


def test_a_run_on_a_tiny_model_has_every_row_and_ratio(app: App) -> None:
    ran = CliRunner().invoke(cli, ["bench", "--quick", "--json", "--ctx", "4096", "--threads", "1"], obj=app)
    assert ran.exit_code == 0, ran.output
    shown = json.loads(ran.stdout)
    assert set(shown) == {"machine", "date", "versions", "model", "rows", "ratios"}
    assert set(shown["ratios"]) == {
        "turn10_ttft",
        "regenerate_steps",
        "switch_back_tokens",
        "reopen",
        "reopen_bit_equal",
    }
    assert shown["ratios"]["switch_back_tokens"] == 1
    assert shown["ratios"]["reopen_bit_equal"] is True
    rows = {row["name"]: row for row in shown["rows"]}
    assert {"prefill at 1,500", "decode at 3,000", "turn 2, first token", *CHAT_ROWS} <= set(rows)
    assert all(row["median"] > 0 and (row["floor"] is None or row["floor"] >= 0) for row in rows.values())
    assert rows["reopened, last reply continued"]["note"].startswith("1 of ")
    assert rows["turn 10, with nothing to start from"]["floor"] > rows["turn 10, first token"]["floor"]


def test_ctrl_c_ends_the_run_and_its_host(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> list[Depth]:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal was not taken")

    monkeypatch.setattr(bench_round, "measure_depths", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert run(app, ["bench", "--quick", "--ctx", "4096", "--threads", "1"]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ChildProcessError):  # the host was waited for
        os.waitpid(-1, os.WNOHANG)


def test_what_is_asked_is_drawn_and_what_is_compared_is_greedy() -> None:
    engine = FakeEngine()
    chat = Conversation(engine, "bench", bench_chat.Script("s", ("q",), 7), "k")
    chat.play()
    chat.go_on()
    drawn, compared = (request.sampling for request in engine.requests)
    assert drawn == Sampling(temperature=bench_chat.TEMPERATURE, max_tokens=7)
    assert compared == Sampling(temperature=0.0, max_tokens=1)
    assert (engine.requests[0].chat, engine.requests[0].store, engine.requests[0].shared) == ("bench", True, 1)
