"""The benchmark's own parts: medians, targets, files, child processes, and a whole run on a tiny model."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.benchmarks import page
from tests.benchmarks.children import clean_environ, cpu_seconds, first_byte, wait_for_no_host
from tests.benchmarks.peers import LlamaPeer, PeerCrashed, PeerOptions
from tests.benchmarks.rates import Reply, find_seed, measure, prompt_of
from tests.benchmarks.targets import COLD, DECODE, LLAMA, LLM, OUTSIDE, PREFILL, WARM, Comparison, of_peer, targets
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine import Engine, Event, Finished, Message, ModelSpec, Request, Sampling
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.cli.bench_clock import prose
from llmchat_tui.cli.bench_host import private_engine
from llmchat_tui.cli.bench_report import (
    BenchModel,
    Machine,
    Report,
    Samples,
    table,
)
from llmchat_tui.errors import UserError

MACHINE = Machine("AMD EPYC(TM) 9R45", 4, "Linux 6 x86_64", 0.0)
MODEL = BenchModel("tiny", "F32", 1_000_000, 1, 2048, (), True)


def a_result(date: str = "2030-01-02T03:04:05+0000") -> Comparison:
    samples = Samples()
    samples.add("decode of 200 tokens", "tokens/s", 100.0)
    report = Report(MACHINE, date, {"llmchat": "0"}, MODEL, samples.rows())
    return Comparison(report, {"batch": "512"}, tuple(targets({COLD: 0.3, of_peer(COLD, LLM): 1.0})))


class Quits(FakeEngine):
    """An engine whose replies end early, but for those of seed 3."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        if request.sampling.seed != 3:
            request = replace(request, sampling=replace(request.sampling, max_tokens=None))
        return FakeEngine.generate(self, request)


def test_a_row_has_the_median_and_every_value() -> None:
    samples = Samples()
    for value in (3.0, 1.0, 100.0):
        samples.add("speed", "tokens/s", value)
    (row,) = samples.rows()
    assert (row.median, row.values) == (3.0, (3.0, 1.0, 100.0))
    (line,) = table([row])
    assert line.split() == ["speed", "3.00", "tokens/s", "1.00", "to", "100"]


def test_a_rate_leaves_the_first_token_to_prefill() -> None:
    reply = Reply(prompt_tokens=100, tokens=11, to_first=0.5, first_to_last=2.0)
    assert (reply.decode_rate, reply.prefill_rate) == (5.0, 200.0)
    assert replace(reply, first_to_last=0.0).decode_rate == 0.0


def test_a_seed_that_gives_the_whole_reply_is_found() -> None:
    engine: Engine = Quits(scripts=[Script("one two three four five")])
    assert find_seed(engine, "Tell.", 4) == 3


def test_prose_differs_by_its_number_and_is_long_enough() -> None:
    assert len(prose(0, 12_000)) > 11_000
    assert prose(0, 500) != prose(1, 500)
    assert prose(1, 500) == prose(1, 500)


def test_targets_are_counted_from_medians() -> None:
    medians = {
        DECODE.format(200): 99.0,
        of_peer(DECODE.format(200), LLAMA): 100.0,
        PREFILL.format(1500): 97.0,
        of_peer(PREFILL.format(1500), LLAMA): 100.0,
        OUTSIDE.format(200): 0.1,
        OUTSIDE.format(1500): 0.2,
        COLD: 0.61,
        WARM: 0.2,
        of_peer(COLD, LLM): 1.0,
    }
    met = {target.name: target.met for target in targets(medians)}
    assert met == {
        "decode of 200 tokens, of Llama's": False,
        "prefill of 1,500 tokens, of Llama's": True,
        "outside llama_decode": True,
        "its growth from the short to the long reply": False,
        "first byte of a cold ask, of llm's": False,
        "first byte of a warm ask, of llm's": True,
    }


def test_a_result_is_kept_and_stands_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text("before\n<!-- result -->\nthe result before\n<!-- end -->\nafter\n")
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- chat -->\nthe chat before\n<!-- end -->\nafter\n")
    result = a_result()
    path = page.save(result, tmp_path, readme)
    assert "the chat before" in readme.read_text()
    page.save(a_result("2029-01-02T03:04:05+0000"), tmp_path, readme)
    assert path.name == "2030-01-02-amd-epyc-9r45.json"
    assert page.newest(tmp_path) == result
    text = page.with_result((tmp_path / "benchmarks.md").read_text(), result)
    assert text.startswith("before\n")
    assert "| first byte of a cold ask, of llm's | 0.300 x | <= 0.6 | met |" in text
    assert "the result before" not in text


def test_the_page_shows_the_newest_result() -> None:
    result = page.newest()
    if result is None:
        pytest.skip("no result is kept yet")
    text = (page.DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert page.with_result(text, result) == text
    readme = page.README.read_text(encoding="utf-8")
    assert page.with_chat(readme, result) == readme


def test_the_first_byte_is_timed_and_a_failure_is_told(tmp_path: Path) -> None:
    environ = clean_environ(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/bin"})
    assert "PYTHONDONTWRITEBYTECODE" not in environ
    goes_on = "import time; print('x', flush=True); time.sleep(60)"
    assert 0 < first_byte((sys.executable, "-c", goes_on), environ) < 30
    fails = (sys.executable, "-c", "import sys; print('gone wrong', file=sys.stderr); sys.exit(3)")
    for measured in (first_byte, cpu_seconds):
        with pytest.raises(UserError, match="exit 3 — gone wrong"):
            measured(fails, environ)


def test_the_cpu_of_a_child_is_its_own(tmp_path: Path) -> None:
    works = "import time\nwhile time.process_time() < 0.2: pass"
    assert cpu_seconds((sys.executable, "-c", works), clean_environ(tmp_path, {})) >= 0.2


def test_no_host_is_no_wait(tmp_path: Path) -> None:
    wait_for_no_host(tmp_path)


def fake_python(folder: Path, body: str) -> Path:
    """Returns a program that stands in for the Python of the peer."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o700)
    return path


def test_a_peer_that_dies_of_a_signal_is_told_from_one_that_fails(tmp_path: Path) -> None:
    options = PeerOptions(tmp_path / "none.gguf", 512, 1, 1)
    dies = fake_python(tmp_path, f"import os; os.kill(os.getpid(), {int(signal.SIGILL)})")
    with pytest.raises(PeerCrashed, match="SIGILL"):
        LlamaPeer(options, {}, dies)
    fails = fake_python(tmp_path, "raise SystemExit(4)")
    with pytest.raises(RuntimeError, match="exit 4"):
        LlamaPeer(options, {}, fails)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Engine]:
    model = tiny_llama(tmp_path / "tiny.gguf")
    with private_engine(ModelSpec(model, n_ctx=1024, gpu_layers=0, threads=1), tmp_path / "state") as engine:
        yield engine


def test_a_prompt_has_the_length_it_was_asked_for_and_nothing_stays_in_the_cache(tiny: Engine) -> None:
    question = prompt_of(tiny, 300, 1)
    first = measure(tiny, question, 4, seed=1)
    assert 297 <= first.prompt_tokens <= 300
    again = Request((Message("user", question),), Sampling(max_tokens=1))
    assert [event.cached_tokens for event in tiny.generate(again) if isinstance(event, Finished)] == [0]
