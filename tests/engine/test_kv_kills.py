"""kill -9 while the disk store writes: what is left loads whole, and the next start leaves nothing half written.

100 kills with LLMCHAT_TEST_SIGNALS=100.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.kv_rig import KEY, Shelf, files_under, kv_random, state_of
from tests.engine.kv_writer import ids_of
from tests.engine.rig import until

from llmchat_engine.kvstore import KvStore

COUNT = int(os.environ.get("LLMCHAT_TEST_SIGNALS", "10"))
SIZE = 3 << 20
LONGEST = 0.25
REPOSITORY = Path(__file__).parents[2]


@contextmanager
def writer(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts a process that saves until it is killed, and waits for its first save."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "engine")])}
    command = [sys.executable, "-m", "tests.engine.kv_writer", str(root), str(SIZE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def temporaries(root: Path) -> list[Path]:
    return [path for path in files_under(root) if path.suffix == ".tmp"]


def test_killed_while_saving(tmp_path: Path) -> None:
    numbers = kv_random()
    root = tmp_path / "kv"
    expected = {number: state_of(ids_of(number), SIZE) for number in range(12)}
    left_behind = loaded = 0
    for number in range(COUNT):
        with writer(root) as process:
            time.sleep(numbers.uniform(0, LONGEST))  # the kill has to come at any point of a save
            if number % 2:  # on a slow disk all of them came between two writes once
                stopped_in_a_write(process, root)
        left_behind += len(temporaries(root))
        log: list[str] = []
        store = KvStore(root, KEY, 12 * SIZE, log.append)
        assert not temporaries(root)
        assert sorted(files_under(root)) == sorted(entry.path for entry in store.entries())
        for entry in store.entries():
            stored = store.load(entry)
            assert stored is not None, log
            assert stored.ids.tolist() == ids_of(stored.ids[0])
            assert stored.state == expected[stored.ids[0]]
            loaded += 1
        assert not log
    assert loaded > 0
    assert left_behind > 0, "no kill came in the middle of a write: the test shows nothing"


def test_a_living_writer_keeps_its_file(tmp_path: Path) -> None:
    root = tmp_path / "kv"
    with writer(root) as process:
        unfinished = stopped_in_a_write(process, root)
        Shelf(root)
        assert temporaries(root) == unfinished
    Shelf(root)
    assert not temporaries(root)


def stopped_in_a_write(process: subprocess.Popen[str], root: Path) -> list[Path]:
    """Stops the writer in the middle of a file, and returns that file."""
    while not (unfinished := stopped_while_writing(process, root)):
        process.send_signal(signal.SIGCONT)
    return unfinished


def stopped_while_writing(process: subprocess.Popen[str], root: Path) -> list[Path]:
    """Stops the writer as it goes, and returns the file that it was writing; none where it was at something else."""
    assert until(lambda: temporaries(root))
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    return [path for path in temporaries(root) if path.stat().st_size > 0]
