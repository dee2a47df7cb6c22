"""The pool: what hangs, dies, explodes or lies costs one file and does nothing; the rest comes through."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rag.hostile import PARSED, SECRET, make_hostile

from llmchat_rag.errors import RagError
from llmchat_rag.parse import pool as pool_module
from llmchat_rag.parse.pool import MEMORY, ParserPool
from llmchat_rag.parse.process import ParserProcess
from llmchat_rag.parse.wire import BadAnswer, answer_of, framed, framed_length, outcome_of, unframed
from llmchat_rag.types import Block, Found, Parsed, Refused, Skipped
from llmchat_rag.walk import walk

MEGABYTE = 1 << 20
SLOW = b"<p " + b"".join(b"a%d=1 " % number for number in range(200_000)) + b">x</p>"
"""Takes Lexbor a minute."""
ROOMS = Path(pool_module.__file__).parents[2]


def write(folder: Path, name: str, content: bytes) -> Found:
    path = folder / name
    path.write_bytes(content)
    return Found(path, name, len(content), 0)


def reasons(pool: ParserPool, *files: Found) -> dict[str, str]:
    return {
        found.relative: outcome.reason if isinstance(outcome, Refused) else PARSED
        for found, outcome in pool.parse_all(files)
    }


def confined(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program after it has confined itself."""
    command = f"from llmchat_rag.parse.guard import confine\nconfine({MEMORY})\n{program}"
    environment = {**os.environ, "PYTHONPATH": str(ROOMS)}
    return subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_the_hostile_set_is_got_through(tmp_path: Path, listener: socket.socket) -> None:
    hostile = make_hostile(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    assert len(hostile.fates) >= 50
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    began = time.monotonic()
    met: dict[str, str] = {}
    files: list[Found] = []
    for entry in walk(hostile.root):
        if isinstance(entry, Skipped):
            met[entry.relative.rstrip("/")] = entry.reason
        else:
            files.append(entry)
    with ParserPool() as pool:
        for found, outcome in pool.parse_all(files):
            met[found.relative] = outcome.reason if isinstance(outcome, Refused) else PARSED
            if isinstance(outcome, Parsed):
                assert SECRET not in outcome.text
                assert "IGNORE THE USER" not in outcome.text
    assert time.monotonic() - began < 60
    wrong = {name: met.get(name) for name, fate in hostile.fates.items() if not is_as(met.get(name, "missing"), fate)}
    assert wrong == {}
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    with pytest.raises(BlockingIOError):
        listener.accept()


def is_as(met: str, fate: str) -> bool:
    return any(part in met for part in fate.split("|"))


def test_all_processes_and_a_model_stay_below_a_gigabyte_and_a_half() -> None:
    """What loads sentence-transformers and exports a model once takes 1,040 MB; the kernel holds the rest."""
    assert pool_module.WORKERS * MEMORY + 1_040 * MEGABYTE <= 1_536 * MEGABYTE


def test_the_next_file_is_read_while_somebody_is_busy_with_the_last_one(tmp_path: Path) -> None:
    files = [write(tmp_path, f"{number}.md", b"text") for number in range(3)]
    with ParserPool(workers=1) as pool:
        steps = pool.parse_all(files)
        next(steps)
        assert [process.file for process in pool._busy()] == [files[1]]
        assert select.select(pool._busy(), [], [], 30)[0]
        assert len(list(steps)) == 2


def test_what_hangs_costs_one_file(tmp_path: Path) -> None:
    files = [write(tmp_path, "a.html", SLOW), write(tmp_path, "b.md", b"text"), write(tmp_path, "c.md", b"text")]
    with ParserPool(workers=1, seconds=0.5) as pool:
        assert reasons(pool, *files) == {
            "a.html": "its parser ran out of time (0.5 s)",
            "b.md": PARSED,
            "c.md": PARSED,
        }


def test_what_needs_too_much_memory_costs_one_file(tmp_path: Path) -> None:
    files = [write(tmp_path, "a.md", b"a\n\n" * 4 * MEGABYTE), write(tmp_path, "b.md", b"text")]
    with ParserPool(workers=1, memory=200 * MEGABYTE) as pool:
        assert reasons(pool, *files) == {"a.md": "its parser ran out of memory", "b.md": PARSED}


def test_a_parser_that_dies_costs_one_file(tmp_path: Path) -> None:
    slow, good = write(tmp_path, "a.html", SLOW), write(tmp_path, "b.md", b"text")

    with ParserPool(workers=2) as pool:

        def files() -> Iterator[Found]:
            yield slow
            os.kill(pids(pool)[0], signal.SIGKILL)
            yield good

        outcomes = dict(pool.parse_all(files()))
    assert outcomes[slow] == Refused("its parser crashed (SIGKILL)")
    assert isinstance(outcomes[good], Parsed)


def test_an_answer_that_is_there_is_taken_however_late(tmp_path: Path) -> None:
    """Whoever takes the answers may have been busy for minutes: embedding takes longer than parsing."""
    files = [write(tmp_path, f"{number}.md", b"text " * MEGABYTE) for number in range(3)]
    with ParserPool(workers=2) as pool:
        steps = pool.parse_all(files)
        next(steps)
        for process in pool._busy():
            assert select.select([process], [], [], 30)[0]
            process._deadline = time.monotonic() - 1
        assert all(isinstance(outcome, Parsed) for _, outcome in steps)


def test_files_are_asked_for_only_when_a_process_is_free(tmp_path: Path) -> None:
    files = [write(tmp_path, f"{number}.md", b"text") for number in range(6)]
    asked: list[Found] = []

    def asking() -> Iterator[Found]:
        for found in files:
            asked.append(found)
            yield found

    with ParserPool(workers=2) as pool:
        assert pids(pool) == []
        for done, _ in enumerate(pool.parse_all(asking()), 1):
            assert len(asked) <= done + 3
            assert len(pids(pool)) <= 2
    assert asked == files


def test_no_process_outlives_the_pool_or_a_walk_that_is_left(tmp_path: Path) -> None:
    slow, good = write(tmp_path, "a.html", SLOW), write(tmp_path, "b.md", b"text")
    with ParserPool(workers=2) as pool:
        steps = pool.parse_all([slow, good])
        next(steps)
        started = pids(pool)
        steps.close()  # type: ignore[attr-defined]
        assert len(pids(pool)) == 1
        assert reasons(pool, good) == {"b.md": PARSED}
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_has_its_limits_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    process = ParserProcess(MEGABYTE << 9)
    try:
        proc = Path(f"/proc/{process._process.pid}")
        if not proc.exists():
            pytest.skip("no /proc")
        limits = (proc / "limits").read_text(encoding="utf-8")
        environment = (proc / "environ").read_bytes()
    finally:
        process.kill()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.split("\n")}
    assert rows["Max address space"] == [str(MEGABYTE << 9)] * 2
    assert rows["Max file size"] == ["0", "0"]
    assert rows["Max core file size"] == ["0", "0"]
    assert b"hf_secret" not in environment


@pytest.mark.parametrize(
    "program",
    [
        "open('pwned', 'w')",
        "import os; os.open('pwned', os.O_CREAT | os.O_WRONLY)",
        "import os; os.remove('kept')",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    ],
)
def test_a_confined_process_does_nothing_to_the_world(program: str) -> None:
    done = confined(program)
    assert done.returncode == 1
    assert "PermissionError: a parser " in done.stderr


def test_the_kernel_holds_the_limits_without_the_hook() -> None:
    done = confined(
        "import resource\nprint(resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_AS))"
    )
    assert done.stdout == f"(0, 0) ({MEMORY}, {MEMORY})\n"
    assert "MemoryError" in confined(f"bytearray({MEMORY})").stderr


def test_processor_time_is_counted_for_each_file() -> None:
    program = "from llmchat_rag.parse.guard import allow_processor_time\nallow_processor_time(0)\nwhile True: pass"
    assert confined(program).returncode == -signal.SIGXCPU
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY


def test_modules_of_the_folder_where_it_is_started_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of documents may hold a json.py, and be the working directory."""
    good = write(tmp_path, "a.json", b"{}")
    for name in ("json", "docx", "re", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('pwned')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with ParserPool(workers=1) as pool:
        assert reasons(pool, good) == {"a.json": PARSED}


def test_a_process_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RagError, match="does not start — it does not answer"):
        ParserProcess(MEMORY)


def test_the_parsers_are_not_loaded_where_the_pool_is() -> None:
    program = "import sys, llmchat_rag.parse.pool, llmchat_rag.chunk, llmchat_rag.walk\nprint(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOMS)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"docx", "email", "lxml", "numpy", "pathspec", "pypdfium2", "selectolax", "zipfile"})


def test_answers_come_back_as_they_were() -> None:
    parsed = Parsed("é\n😀 text", (Block("code", 0, 1, 2, 3, "f"), Block("row", 2, 8)), "t", "p", 7, own_lines=False)
    for outcome in (parsed, Refused("why", failed=False), Refused("why")):
        message = framed(answer_of(outcome, last=True))
        assert framed_length(message) == len(message)
        assert framed_length(message[:5]) is None
        assert outcome_of(unframed(message)) == (outcome, True)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"refused": 1, "failed": True},
        {"refused": "x"},
        {"text": "abc", "blocks": [["code", 2, 1, 0, 0, ""]]},
        {"text": "abc", "blocks": [["code", 0, 4, 0, 0, ""]]},
        {"text": "abc", "blocks": [["code", 0, 2, 0, 0, ""], ["code", 1, 3, 0, 0, ""]]},
        {"text": "abc", "blocks": [["shell", 0, 1, 0, 0, ""]]},
        {"text": "abc", "blocks": [7]},
    ],
)
def test_an_answer_that_no_parser_gives_is_refused(answer: object) -> None:
    if isinstance(answer, dict) and "text" in answer:
        answer = {"title": "", "parser": "p", "version": 1, "own_lines": True, **answer}
    with pytest.raises(BadAnswer):
        outcome_of(unframed(framed(answer)))


def test_an_answer_of_any_length_is_not_waited_for() -> None:
    with pytest.raises(BadAnswer):
        framed_length(b"\xff" * 8)
    with pytest.raises(BadAnswer):
        unframed(bytes(8) + b"{")


def pids(pool: ParserPool) -> list[int]:
    return [process._process.pid for process in pool._processes]
