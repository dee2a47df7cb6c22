"""Models tried in a throw-away process: what its end says, what is remembered, and that nothing crashes twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import ask
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import EngineDied, ModelMissing, ModelUnreadable
from llmchat_engine.launch import Places
from llmchat_engine.models import trials
from llmchat_engine.models.fit import need as fit
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.trials import (
    Ended,
    Outcome,
    Trial,
    TrialTask,
    judge,
    known_trial,
    note_death,
    note_load,
    refuse_failed,
    remember_trial,
    try_model,
)

ASSERTED = "/tmp/x/vendor/llama.cpp/src/llama-vocab.cpp:1870: GGML_ASSERT(id_to_token.size() == n) failed"
FAILED = Trial(False, "llama.cpp crashes on this file (SIGABRT: GGML_ASSERT(x) failed)")

ENDS: dict[str, tuple[Ended, bool, str, bool]] = {
    "well": (Ended(outcome=Outcome("ok")), True, "", True),
    "assertion": (
        Ended(signal="SIGABRT", words=ASSERTED),
        False,
        "llama.cpp crashes on this file (SIGABRT: GGML_ASSERT(id_to_token.size() == n) failed)",
        True,
    ),
    "fatal error": (
        Ended(signal="SIGABRT", words="/tmp/x/vendor/llama.cpp/src/llama-vocab.cpp:3207: fatal error"),
        False,
        "llama.cpp crashes on this file (SIGABRT: llama-vocab.cpp:3207: fatal error)",
        True,
    ),
    "silent crash": (Ended(signal="SIGSEGV"), False, "llama.cpp crashes on this file (SIGSEGV)", True),
    "crash without memory": (
        Ended(signal="SIGABRT", words="what():  std::bad_alloc"),
        False,
        "it takes more memory than there is: llama.cpp says what():  std::bad_alloc",
        False,
    ),
    "assertion about memory": (
        Ended(signal="SIGABRT", words="x/ggml.c:1: GGML_ASSERT(ctx->mem_buffer != NULL) failed"),
        False,
        "it takes more memory than there is: llama.cpp says GGML_ASSERT(ctx->mem_buffer != NULL) failed",
        False,
    ),
    "refused": (
        Ended(outcome=Outcome("refused", "llama_model_load: error loading model: missing tensor 'a'; failed to load")),
        False,
        "it cannot be loaded: missing tensor 'a'",
        True,
    ),
    "refused for memory": (
        Ended(outcome=Outcome("refused", "error loading model: unable to allocate CPU buffer")),
        False,
        "it cannot be loaded: unable to allocate CPU buffer",
        False,
    ),
    "weights": (
        Ended(outcome=Outcome("refused", "tensor 'a' has invalid data; found tensors with invalid data")),
        False,
        "its weights are damaged: some are no finite numbers",
        True,
    ),
    "no memory": (
        Ended(outcome=Outcome("memory", "a context does not fit")),
        False,
        "it takes more memory than there is: a context does not fit",
        False,
    ),
    "no numbers": (
        Ended(outcome=Outcome("empty")),
        False,
        "its weights are damaged: what it computes is not a number",
        True,
    ),
    "killed": (
        Ended(signal="SIGKILL"),
        False,
        "it was not tried to the end: the process was stopped (SIGKILL)",
        False,
    ),
    "too slow": (Ended(limit=61.7), False, "it took longer than 62 s", False),
    "another CPU": (
        Ended(ready=False, signal="SIGILL"),
        False,
        "it was not tried: llama.cpp itself does not start here (SIGILL)",
        False,
    ),
    "not installed": (
        Ended(ready=False, signal="exit code 1", words="ModuleNotFoundError: x"),
        False,
        "it was not tried: llama.cpp itself does not start here (exit code 1)",
        False,
    ),
}


class Script:
    """A process that ends as it is told, and counts how often it was started."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.tasks: list[TrialTask] = []

    def __call__(self, task: TrialTask, seconds: float) -> Ended:
        assert seconds >= trials.LEAST_SECONDS
        self.tasks.append(task)
        return self.ended


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_llama(tmp_path / "model.gguf", layers=1, width=32)


def spoilt(path: Path) -> Path:
    """Writes a model that passes our rules, and whose weights are no numbers."""
    tiny_llama(path, layers=1, width=32)
    with path.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"\xff" * 64)
    return path


@pytest.mark.parametrize("name", ENDS)
def test_each_end_has_its_sentence(name: str) -> None:
    ended, ok, why, lasting = ENDS[name]
    assert judge(ended, 0.5) == Trial(ok, why, 0.5, lasting)


@pytest.mark.parametrize("name", ENDS)
def test_only_what_lasts_is_remembered(model: Path, tmp_path: Path, name: str) -> None:
    ended, ok, why, lasting = ENDS[name]
    assert known_trial(model, tmp_path) is None
    trial = try_model(model, tmp_path, Script(ended))
    assert (trial.ok, trial.why) == (ok, why)
    assert known_trial(model, tmp_path) == (trial if lasting else None)


def test_the_program_loads_a_good_model(model: Path, verdicts: Path) -> None:
    trial = try_model(model, verdicts)
    assert trial.ok, trial.why
    assert known_trial(model, verdicts) == trial
    refuse_failed(model, verdicts)


def test_the_program_refuses_weights_that_are_no_numbers(tmp_path: Path, verdicts: Path) -> None:
    trial = try_model(spoilt(tmp_path / "a.gguf"), verdicts)
    assert not trial.ok and trial.lasting
    assert trial.why == "its weights are damaged: some are no finite numbers"


@pytest.mark.parametrize("blow", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_the_program_may_die_of_anything(model: Path, tmp_path: Path, blow: signal.Signals, verdicts: Path) -> None:
    """The real process, with a library that dies when the model is loaded."""
    code = (
        "import os, sys; from llmchat_engine.host import model, trial\n"
        "def die(*_, **__):\n"
        f"    print('x/y.cpp:12: GGML_ASSERT(z) failed', file=sys.stderr, flush=True); os.kill(os.getpid(), {blow:d})\n"
        "model.Model = die; trial.main()\n"
    )
    task = msgspec.json.encode(TrialTask(str(model), str(verdicts), 0, 1 << 40))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(task + b"\n")
        process.stdin.flush()  # and it stays open: the end of it is the end of whoever asked
        assert process.stdout.read() == trials.READY + b"\n"
        assert b"GGML_ASSERT(z)" in process.stderr.read()
    assert process.returncode == -blow


def test_a_process_that_takes_too_long_is_stopped(model: Path, verdicts: Path) -> None:
    ended = trials._run(TrialTask(str(model), str(verdicts), 0, 1 << 40), 1e-3)
    assert judge(ended).why == "it took longer than 0 s" or (ended.outcome and ended.outcome.kind == "ok")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what is mapped")
def test_memory_is_bounded(model: Path, verdicts: Path) -> None:
    """A process that may take nothing more comes to some end, and it is not a load."""
    assert not judge(trials._run(TrialTask(str(model), str(verdicts), 0, 0), 60.0)).ok


def test_what_our_rules_refuse_starts_no_process(tmp_path: Path) -> None:
    script, page = Script(Ended(outcome=Outcome("ok"))), tmp_path / "page.gguf"
    page.write_bytes(b"<html>404</html>")
    assert "it is a web page" in try_model(page, tmp_path, script).why
    with pytest.raises(ModelMissing):
        try_model(tmp_path / "gone.gguf", tmp_path, script)
    assert script.tasks == []


def test_what_does_not_fit_is_not_tried(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(Ended(outcome=Outcome("ok")))
    monkeypatch.setattr(fit, "memory_free", lambda: Free(1 << 20, "a test"))
    trial = try_model(model, tmp_path, script)
    assert trial.why.startswith("it was not tried: it needs ") and trial.why.endswith("1 MiB are free")
    assert script.tasks == [] and known_trial(model, tmp_path) is None


def test_another_llama_cpp_tries_again(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_trial(model, FAILED, tmp_path)
    assert known_trial(model, tmp_path) == FAILED
    monkeypatch.setattr(trials, "_build", lambda: "another")
    assert known_trial(model, tmp_path) is None


def test_a_changed_file_is_new(model: Path, tmp_path: Path) -> None:
    remember_trial(model, FAILED, tmp_path)
    os.utime(model, (1, 1))
    assert known_trial(model, tmp_path) is None


def test_a_known_failure_is_told_at_once(model: Path, tmp_path: Path) -> None:
    remember_trial(model, FAILED, tmp_path)
    with pytest.raises(ModelUnreadable) as caught:
        refuse_failed(model, tmp_path)
    assert caught.value.why == FAILED.why
    assert f"llmchat models verify {model}" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("SIGABRT", True),
        ("SIGSEGV", True),
        ("SIGBUS", True),
        ("SIGFPE", True),
        ("SIGILL", False),
        ("SIGKILL", False),
        ("exit 1", False),
        ("", False),
    ],
)
def test_a_host_that_died_is_a_verdict_only_where_it_ended_itself(
    model: Path, tmp_path: Path, name: str, failed: bool
) -> None:
    note_death(model, tmp_path, name, "src/llama.cpp:12: GGML_ASSERT(a == b) failed")
    known = known_trial(model, tmp_path)
    if not failed:
        assert known is None
    else:
        assert known == Trial(False, f"llama.cpp crashes on this file ({name}: GGML_ASSERT(a == b) failed)")


@pytest.mark.parametrize(
    "words",
    [
        "/src/ggml/src/ggml-cuda/ggml-cuda.cu:97: CUDA error",
        "ggml-rpc.cpp:412: Remote RPC server crashed or returned malformed response",
        "ggml_vulkan: device lost",
    ],
)
def test_a_card_or_a_server_that_failed_says_nothing_of_the_file(model: Path, tmp_path: Path, words: str) -> None:
    note_death(model, tmp_path, "SIGABRT", words)
    assert known_trial(model, tmp_path) is None


def test_a_load_that_went_well_is_news_once(model: Path, tmp_path: Path) -> None:
    note_load(model, tmp_path, 1.5)
    note_load(model, tmp_path, 2.5)
    assert known_trial(model, tmp_path) == Trial(True, seconds=1.5)
    remember_trial(model, FAILED, tmp_path)
    note_load(model, tmp_path, 3.5)
    assert known_trial(model, tmp_path) == Trial(True, seconds=3.5)


def test_a_host_that_loads_a_model_has_tried_it(start: StartEngine, places: Places, model: Path) -> None:
    assert known_trial(model, places.state) is None
    ask(start(model), max_tokens=1)
    known = known_trial(model, places.state)
    assert known is not None and known.ok and known.seconds > 0


def test_a_host_that_crashes_on_a_file_is_the_last_one(
    start: StartEngine, places: Places, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host dies while it loads; the next question starts none that loads the file."""
    monkeypatch.setenv("LLMCHAT_TEST_DIE", "1")
    hook = places.runtime.parent / "sitecustomize.py"
    hook.write_text(
        "import os, signal, sys\n"
        "if sys.argv[:1] == ['-m'] and os.environ.get('LLMCHAT_TEST_DIE'):\n"
        "    import llmchat_engine.host.model as model\n"
        "    def die(*_, **__):\n"
        "        print('x/y.cpp:12: GGML_ASSERT(z) failed', file=sys.stderr, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGABRT)\n"
        "    model.Model = die\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hook.parent), *sys.path]))
    with pytest.raises(EngineDied, match="SIGABRT"):
        ask(start(model))
    known = known_trial(model, places.state)
    assert known is not None and "SIGABRT" in known.why
    monkeypatch.delenv("LLMCHAT_TEST_DIE")
    with pytest.raises(ModelUnreadable, match=r"llama\.cpp crashes on this file"):
        ask(start(model))
    note_load(model, places.state, 1.0)
    assert ask(start(model)).reply_tokens > 0
