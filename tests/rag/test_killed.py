"""kill -9 at any moment of an update: the store is sound, and the next run ends where a run from nothing ends.

LLMCHAT_TEST_SIGNALS=100 kills as often as a release asks for.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.rag.doubles import DIMENSION, PlainPool, WordEmbedder
from tests.rag.places import Notes, answers, essay, notes, questions

from llmchat_rag.doctor import examine
from llmchat_rag.errors import RagError
from llmchat_rag.ingest import update
from llmchat_rag.query import Query
from llmchat_rag.search import search
from llmchat_rag.store import Library

KILLS = int(os.environ.get("LLMCHAT_TEST_SIGNALS", "10"))
ROOT = Path(__file__).parents[2]


def start(folder: Path, dimension: int = DIMENSION) -> subprocess.Popen[str]:
    path = os.pathsep.join(str(ROOT / room) for room in ("rag", "."))
    command = [sys.executable, "-m", "tests.rag.indexing", str(folder), str(dimension)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})


def change(place: Notes, rng: random.Random) -> None:
    for number in rng.sample(range(60), 20):
        place.write(f"{number}.md", essay(rng, rng.randrange(1, 6)))
    there = sorted(place.root.iterdir())
    for path in rng.sample(there, len(there) // 10):
        path.unlink()


def how_long(folder: Path) -> float:
    """Returns the seconds that an update takes that nobody kills."""
    with start(folder) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        started = time.monotonic()
        assert child.stdout.readline() == "done\n"
        return time.monotonic() - started


def kill(folder: Path, seconds: float, dimension: int = DIMENSION) -> bool:
    """Starts an update and kills it so long after its beginning; returns whether it was still at it."""
    with start(folder, dimension) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(seconds)
        child.kill()
    return child.returncode == -9


def assert_as_fresh(place: Notes, fresh_folder: Path, seed: int) -> None:
    """What is found is what a store finds that was made from nothing."""
    asked = questions(seed, 100)
    with Library(fresh_folder) as fresh:
        fresh.add_collection("notes", place.root)
        list(update(fresh, "notes", place.embedder, PlainPool()))
        assert answers(place.library, place.embedder, asked) == answers(fresh, place.embedder, asked)


@pytest.mark.timeout(60 + 5 * KILLS)
def test_killed_at_any_moment_it_converges(tmp_path: Path) -> None:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "") or random.SystemRandom().randrange(1 << 30))
    print(f"LLMCHAT_TEST_SEED={seed}")
    rng = random.Random(seed)
    with notes(tmp_path) as place:
        change(place, rng)
        longest = how_long(place.library.folder)
        killed = 0
        for number in range(KILLS):
            change(place, rng)
            killed += kill(place.library.folder, rng.uniform(0, longest) if number % 3 else 0)
            assert examine(place.library) == []
        assert killed > KILLS // 3
        place.update(accept_missing=True)
        assert examine(place.library) == []
        assert_as_fresh(place, tmp_path / "fresh", seed)


@pytest.mark.timeout(60 + 5 * KILLS)
def test_killed_while_another_embedder_reads_everything_it_converges(tmp_path: Path) -> None:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "") or random.SystemRandom().randrange(1 << 30))
    print(f"LLMCHAT_TEST_SEED={seed}")
    rng = random.Random(seed)
    with notes(tmp_path) as place:
        change(place, rng)
        longest = how_long(place.library.folder)
        met = {meet(place, WordEmbedder(64))}
        for _ in range(max(3, KILLS // 3)):
            place.write("0.md", essay(rng))
            kill(place.library.folder, rng.uniform(0, longest), 64)
            assert examine(place.library) == []
            met.add(meet(place, WordEmbedder(64)))
        assert met <= {"EmbedderMismatch", "NothingRead", "found"}
        place.embedder = WordEmbedder(64)
        place.update(force=True)
        assert examine(place.library) == []
        assert_as_fresh(place, tmp_path / "fresh", seed)


def test_of_two_writers_at_once_one_is_told_and_the_store_is_whole(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        change(place, random.Random(2))
        children = [start(place.library.folder) for _ in range(3)]
        said = [child.communicate(timeout=60)[0] for child in children]
        assert sorted(child.returncode for child in children)[0] == 0
        for child, words in zip(children, said, strict=True):
            assert words.endswith("done\n" if child.returncode == 0 else "StoreBusy\n")
        assert examine(place.library) == []
        assert_as_fresh(place, tmp_path / "fresh", 2)


def meet(place: Notes, embedder: WordEmbedder) -> str:
    """Returns what a question meets that is asked in between: never an empty answer."""
    try:
        found = search(place.library, embedder, Query("river market winter")).passages
    except RagError as error:
        return type(error).__name__
    return "found" if found else "nothing"
