"""kill -9 at any moment of a pull: what came is kept, the next pull goes on, and the file is right in the end.

The server sends a piece only when the part holds all before it, so what was received is known to the byte.
LLMCHAT_TEST_SIGNALS=100 kills as often as a release asks for, LLMCHAT_TEST_SEED says when.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine import pulling
from tests.engine.downloads import NAME, REPO, contents, environ_of, no_proxies
from tests.hub.faults import Asked, Fault
from tests.hub.server import TOKEN, FakeHub

from llmchat_engine.models.hub.parts import PART, beside

KILLS = int(os.environ.get("LLMCHAT_TEST_SIGNALS", "10"))
SIZE = 4 << 20
PIECE = 8 << 10
FEWEST = 24 * PIECE
"""Bytes before a kill: one piece may be on its way, and it is less than a twentieth of these."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    no_proxies(monkeypatch)
    with FakeHub() as hub:
        hub.faults.piece = PIECE
        yield hub


class Killer:
    """Lets the server go on when the part has all it sent, and kills the program after so many bytes."""

    def __init__(self, hub: FakeHub, part: Path, after: int) -> None:
        self.after = after
        self.sent = 0
        self._part = part
        self._earlier = {id(asked) for asked in hub.requests}
        self._child: subprocess.Popen[str] | None = None
        self._started = threading.Event()

    def aim(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._started.set()

    def __call__(self, asked: Asked) -> None:
        if id(asked) in self._earlier:  # of a program killed before: the server has not noticed yet that it is gone
            raise ConnectionAbortedError
        assert self._started.wait(60)
        if self._child is None:
            return
        self.sent = asked.sent
        if asked.sent >= self.after:
            self._child.kill()
            self._child = None
            return
        while self._child.poll() is None and size_of(self._part) < asked.first + asked.sent:
            time.sleep(0.0005)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def killed_once(hub: FakeHub, models_dir: Path, rng: random.Random) -> tuple[int, int] | None:
    """Kills one pull; returns the bytes that were received in it and those of them that are kept.

    None where the program was killed after its last byte, or had ended.
    """
    path = models_dir / REPO / NAME
    before = size_of(beside(path, PART))
    killer = Killer(hub, beside(path, PART), rng.randrange(FEWEST, SIZE // 3))
    hub.faults.pace = killer
    with pulling.start(models_dir, REPO, environ_of(hub)) as child:
        killer.aim(child)
        if SIZE - before <= killer.after:  # it comes to its end: anywhere between the last byte and the last line
            assert child.stdout is not None
            child.stdout.readline()  # it has begun: a whole part is read again, then renamed
            wait_for(lambda: path.exists() or size_of(beside(path, PART)) == SIZE or child.poll() is not None)
            time.sleep(rng.uniform(0, 0.02))
            child.kill()
        out, err = child.communicate(timeout=60)
    assert "Error" not in err, err
    assert not path.exists() or path.read_bytes() == contents(SIZE), out
    if SIZE - before <= killer.after:
        return None
    assert not path.exists()
    return killer.sent, size_of(beside(path, PART)) - before


def wait_for(condition: object) -> None:
    assert callable(condition)
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


@pytest.mark.timeout(60 + 6 * KILLS)
def test_killed_at_any_byte_it_goes_on_from_there(hub: FakeHub, tmp_path: Path) -> None:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "") or random.SystemRandom().randrange(1 << 30))
    print(f"LLMCHAT_TEST_SEED={seed}")
    rng = random.Random(seed)
    hub.add(REPO, {NAME: contents(SIZE)})
    received = kept = kills = rounds = 0
    shares = []
    while kills < KILLS:
        models_dir, rounds = tmp_path / f"models-{rounds}", rounds + 1
        path = models_dir / REPO / NAME
        while kills < KILLS:
            kills += 1
            counted = killed_once(hub, models_dir, rng)
            part = beside(path, PART)
            assert not part.exists() or contents(SIZE).startswith(part.read_bytes())
            if counted is None:
                break
            received, kept = received + counted[0], kept + counted[1]
            shares.append(counted[1] / counted[0])
        hub.faults.pace = None
        here = size_of(beside(path, PART)) or size_of(path)
        with pulling.start(models_dir, REPO, environ_of(hub)) as child:
            out, err = child.communicate(timeout=60)
        assert out.splitlines()[-1] == f"done {SIZE - here} False", err
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(contents(SIZE)).digest()
        # A kill after the record leaves an empty lock, which the next record takes over.
        assert {*os.listdir(path.parent)} - {".llmchat.lock"} == {".llmchat.json", NAME}
    print(f"{kills} kills, {len(shares)} of them before the last byte, in {rounds} files")
    print(f"{kept:,} of {received:,} bytes kept, {min(shares):.1%} where it was least")
    assert len(shares) >= KILLS // 2 and min(shares) >= 0.95


def test_the_token_is_nowhere(hub: FakeHub, tmp_path: Path) -> None:
    """Through redirects to another host, servers that repeat what they were sent, a kill and tracebacks."""
    hub.add(REPO, {NAME: contents(SIZE)}, gated=True)
    home = tmp_path / "home"
    home.mkdir()
    environ = {**environ_of(hub, TOKEN), "HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home)}
    told = []
    hub.faults.cdn_host = "localhost"
    hub.tokens.add(TOKEN)
    faults: list[tuple[deque[Fault], list[Fault]]] = [
        (hub.faults.api, [Fault(status=403, echo=True)]),
        (hub.faults.api, [Fault(status=500, echo=True)]),
        (hub.faults.resolve, [Fault(status=403, error_code="GatedRepo", echo=True)]),
        (hub.faults.resolve, [Fault(status=418, echo=True)]),
        (hub.faults.resolve, [Fault(location="http://localhost:1/")] * 3),
        (hub.faults.content, [Fault(status=404, echo=True)]),
        (hub.faults.content, [Fault(cut=SIZE // 2)]),
    ]
    for coming, wrong in faults:
        coming.extend(wrong)
        with pulling.start(home / "models", REPO, environ) as child:
            told.append("".join(child.communicate(timeout=60)))
    assert "done" in told[-1] and all("Traceback" in text and "Hub" in text for text in told[:-1]), told
    assert any(asked.authorization for asked in hub.asked("resolve"))
    assert not any(asked.authorization for asked in hub.asked("content"))
    assert [text for text in told if "hf_canary" in text] == []
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files and [path for path in files if b"hf_canary" in path.read_bytes()] == []
