"""The disk store: finding, loading, saving, sharing and forgetting; two of them on one root."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.engine.kv_rig import GRID, KEY, OTHER_KEY, Shelf, files_under, kv_random, same, state_of, used

from llmchat_engine.kvstore import Checkpoint, KvStore, clear, forget_chat
from llmchat_engine.kvstore.files import chat_name, temporary

A, B, C = [1, 2, 3], [1, 2, 3, 4, 5], [9, 8, 7]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "kv"


@pytest.fixture
def shelf(root: Path) -> Shelf:
    return Shelf(root)


def test_saved_is_loaded(shelf: Shelf) -> None:
    shelf.store.save("chat", A, state_of(A), grid=7, checkpoints=[Checkpoint(2, b"two")], prefill_seconds=1.5)
    entry = shelf.only()
    assert (entry.ids.tolist(), entry.tokens, entry.grid, entry.checkpoints) == (A, 3, 7, (2,))
    assert (entry.prefill_seconds, entry.shared, entry.chat) == (1.5, False, chat_name("chat"))
    assert entry.size == entry.path.stat().st_size
    stored = shelf.store.load(entry)
    assert stored is not None and same(stored, A)
    assert stored.grid == 7
    assert [(found.length, bytes(found.data)) for found in stored.checkpoints] == [(2, b"two")]
    assert not shelf.log


def test_the_next_host_finds_it(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    again = Shelf(root)
    assert again.only() == shelf.only()
    assert again.loads_whole(again.only())


def test_another_model_does_not(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    assert not Shelf(root, OTHER_KEY).store.entries()
    assert not Shelf(root, KEY[:32] + "0" * 32).store.entries()


def test_where_files_stand_and_who_may_read_them(root: Path) -> None:
    before = os.umask(0)
    try:
        Shelf(root).save("my secret chat", A)
    finally:
        os.umask(before)
    (file,) = files_under(root)
    assert [len(part) for part in file.relative_to(root).parts] == [32, 32, 24 + 3]
    assert file.parts[-3] == KEY[:32]
    assert b"secret" not in os.fsencode(file) + file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for directory in (root, file.parent.parent, file.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_an_open_root_is_closed(root: Path) -> None:
    root.mkdir(parents=True, mode=0o755)
    root.chmod(0o755)
    Shelf(root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_what_is_continued_goes(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    shelf.save("other", A)
    shelf.save("chat", B)
    assert shelf.ids() == [A, B]
    assert len(files_under(root)) == 2
    shelf.save("chat", A)  # a branch that goes back: it continues nothing
    assert shelf.ids() == [A, A, B]


def test_four_branches_of_a_chat(shelf: Shelf, root: Path) -> None:
    for number in range(4):
        shelf.save("chat", [number, 5])
    shelf.save("chat", [7], shared=True)
    for number, entry in enumerate(sorted(shelf.store.entries(), key=lambda entry: entry.ids.tolist())):
        used(entry.path, 1000 + number)
    again = Shelf(root)
    again.save("chat", [8, 5])
    assert again.ids() == [[1, 5], [2, 5], [3, 5], [7], [8, 5]]


def test_the_same_again_is_not_written_again(shelf: Shelf) -> None:
    shelf.save("chat", A)
    used(shelf.only().path, 1000)
    inode = shelf.only().path.stat().st_ino
    shelf.save("chat", A)
    assert shelf.only().path.stat().st_ino == inode
    assert time.time() - shelf.only().path.stat().st_mtime < 100
    shelf.store.save("chat", A, state_of(A), grid=GRID + 1)
    assert shelf.only().path.stat().st_ino != inode
    assert shelf.only().grid == GRID + 1


def test_removed_behind_its_back_it_is_written_again(shelf: Shelf) -> None:
    shelf.save("chat", A)
    shelf.only().path.unlink()
    shelf.save("chat", A)
    assert shelf.loads_whole(shelf.only())


def test_loading_is_using(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    path = shelf.only().path
    used(path, 1000)
    assert Shelf(root).only().used_at == 1000
    shelf.store.load(shelf.only())
    assert time.time() - path.stat().st_mtime < 100
    assert time.time() - shelf.only().used_at < 100


def test_a_damaged_one_is_removed_and_told(shelf: Shelf) -> None:
    shelf.save("chat", A)
    shelf.save("chat", C)
    damaged = next(entry for entry in shelf.store.entries() if entry.ids.tolist() == A)
    data = damaged.path.read_bytes()
    damaged.path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert shelf.store.load(damaged) is None
    assert shelf.ids() == [C]
    assert not damaged.path.exists()
    assert shelf.log == [f"kv: {damaged.path.name} refused and removed: the checksum of its state is wrong"]


def test_one_that_stands_in_the_wrong_place_is_removed(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    shelf.save("other", C)
    one, two = (entry.path for entry in shelf.store.entries())
    os.replace(one, two.with_name(one.name))
    data = two.read_bytes()
    two.with_name("0" * 24 + ".kv").write_bytes(data)
    again = Shelf(root)
    assert again.ids() == [C]
    assert sorted(line.rsplit(": ")[-1] for line in again.log) == [
        "it belongs to another chat",
        "its name is not that of its ids",
    ]


def test_one_that_is_gone_costs_nothing(shelf: Shelf) -> None:
    shelf.save("chat", A)
    entry = shelf.only()
    entry.path.unlink()
    assert shelf.store.load(entry) is None
    assert not shelf.store.entries()
    assert not shelf.log


def test_what_is_not_the_stores_is_left_alone(root: Path) -> None:
    Shelf(root).save("chat", A)
    strangers = [root / "notes.kv", root / KEY[:32] / "a.tmp", root / "x" / "y" / ("0" * 24 + ".kv")]
    (inside,) = {path.parent for path in files_under(root)}
    strangers.append(inside / "photo.jpg")
    for path in strangers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shelf = Shelf(root, budget=1)
    shelf.store.forget("chat")
    clear(root)
    assert files_under(root) == sorted(strangers)
    assert not shelf.log


def test_a_shared_one_is_one_file(shelf: Shelf, root: Path) -> None:
    shelf.save("first", A, shared=True)
    shelf.save("second", A, shared=True)
    assert shelf.store.share("third", A)
    paths = files_under(root)
    assert len(paths) == 3
    assert {path.stat().st_ino for path in paths} == {paths[0].stat().st_ino}
    assert all(shelf.loads_whole(entry) for entry in shelf.store.entries())
    shelf.store.forget("first")
    shelf.store.forget("third")
    assert shelf.loads_whole(shelf.only())
    shelf.store.forget("second")
    assert not files_under(root)


def test_a_shared_one_gives_way_to_one_with_more_on_the_grid(shelf: Shelf) -> None:
    for chat, grid in (("first", 0), ("second", 3), ("third", 0), ("fourth", 3)):
        shelf.store.save(chat, A, state_of(A), grid=grid, shared=True)
    found = {entry.chat: entry for entry in shelf.store.entries()}
    assert [found[chat_name(chat)].grid for chat in ("first", "second", "fourth")] == [0, 3, 3]
    assert len({entry.inode for entry in found.values()}) == 2
    assert found[chat_name("second")].cut == 3 and not found[chat_name("first")].cut


def test_a_shared_one_of_another_host_is_found(shelf: Shelf, root: Path) -> None:
    other = Shelf(root)
    other.save("first", A, shared=True)
    assert shelf.store.share("second", A)
    assert not shelf.store.share("second", B)


def test_a_chats_own_entry_is_not_shared(shelf: Shelf) -> None:
    shelf.save("first", A)
    assert not shelf.store.share("second", A)


def test_a_damaged_one_is_not_shared(shelf: Shelf, root: Path) -> None:
    shelf.save("first", A, shared=True)
    assert shelf.store.share("second", A)
    path = shelf.store.entries()[0].path
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([state_of(A)[-1] ^ 1]))
    assert not shelf.store.share("third", A)
    assert not files_under(root)  # it is damaged under every name
    shelf.save("third", A, shared=True)
    assert shelf.loads_whole(shelf.only())


def test_a_copy_where_there_are_no_links(shelf: Shelf, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    for chat in ("first", "second"):
        shelf.save(chat, A, size=(4 << 20) + 9, shared=True)
    paths = files_under(root)
    assert len({path.stat().st_ino for path in paths}) == len(paths) == 2
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert all(shelf.loads_whole(entry, (4 << 20) + 9) for entry in shelf.store.entries())
    assert not shelf.log


def test_the_least_recently_used_goes(root: Path) -> None:
    shelf = Shelf(root, budget=18_000)
    other = Shelf(root, OTHER_KEY, budget=18_000)
    other.save("chat", A)
    shelf.save("one", A)
    shelf.save("two", A)
    for at, entry in enumerate([*other.store.entries(), *shelf.store.entries()]):
        used(entry.path, 1000 + at)
    (first, second) = shelf.store.entries()
    shelf.store.load(first)
    shelf.save("three", A)  # the other model's goes: the budget is of the root
    assert {entry.chat for entry in shelf.store.entries()} == {chat_name(name) for name in ("one", "two", "three")}
    assert not other.store.entries()
    shelf.save("four", A)
    assert {entry.chat for entry in shelf.store.entries()} == {chat_name(name) for name in ("one", "three", "four")}
    assert second not in shelf.store.entries()
    assert not shelf.log


def test_a_shared_one_counts_once(root: Path) -> None:
    shelf = Shelf(root, budget=12_000)
    for number in range(10):
        shelf.save(f"chat {number}", A, shared=True)
    shelf.save("chat", B)
    assert len(files_under(root)) == 11
    shelf.save("last", B)  # the shared one was used before the other: all its names go
    assert len(files_under(root)) == 2


def test_forgotten_for_good(shelf: Shelf, root: Path) -> None:
    other_model = Shelf(root, OTHER_KEY)
    for store in (shelf, other_model):
        store.save("chat", A)
        store.save("other", A)
    shelf.store.forget("chat")
    assert {path.parent.name for path in files_under(root)} == {chat_name("other")}
    assert len(shelf.store.entries()) == len(other_model.store.entries()) == 1
    shelf.save("chat", B)
    assert not shelf.store.share("chat", A)
    assert len(files_under(root)) == 2
    assert not shelf.log


def test_forgetting_from_outside(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    with temporary(shelf.only().path) as unfinished:
        assert forget_chat(root, "chat")
        assert not unfinished.path.exists()
        assert not files_under(root)
    assert not shelf.store.entries()
    assert forget_chat(root, "never seen")
    assert forget_chat(root / "nowhere", "chat")


class Gate:
    """Holds the first thread that comes by until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, _descriptor: int) -> None:
        if not self.reached.is_set():
            self.reached.set()
            assert self.open.wait(10)


@pytest.mark.parametrize("shared", [False, True])
def test_forgotten_while_it_is_saved(shelf: Shelf, root: Path, monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    gate = Gate()
    monkeypatch.setattr(os, "fsync", gate)
    saving = threading.Thread(target=shelf.save, args=("chat", A), kwargs={"shared": shared})
    saving.start()
    assert gate.reached.wait(10)
    assert [path.suffix for path in files_under(root)] == [".tmp"]
    shelf.store.forget("chat")
    assert not files_under(root)
    gate.open.set()
    saving.join(10)
    assert not files_under(root)
    assert not shelf.store.entries()
    assert not shelf.log


def test_the_model_thread_does_not_wait_for_a_save(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.save("other", C)
    gate = Gate()
    monkeypatch.setattr(os, "fsync", gate)
    saving = threading.Thread(target=shelf.save, args=("chat", A))
    saving.start()
    assert gate.reached.wait(10)
    assert shelf.ids() == [C]
    assert shelf.loads_whole(shelf.only())
    gate.open.set()
    saving.join(10)
    assert shelf.ids() == [A, C]


def test_two_stores_see_each_other(shelf: Shelf, root: Path) -> None:
    other = Shelf(root)
    shelf.save("chat", A)
    assert other.ids() == [A]
    other.save("chat", B)  # it continues what the first one wrote
    assert shelf.ids() == [B]
    assert shelf.loads_whole(shelf.only())
    stale = shelf.only()
    other.store.forget("chat")
    assert shelf.store.load(stale) is None
    assert not shelf.ids()
    assert not shelf.log and not other.log


def test_two_stores_at_once(root: Path) -> None:
    shelves = [Shelf(root, budget=60_000), Shelf(root, budget=60_000)]
    wrong: list[object] = []

    def work(shelf: Shelf, seed: int) -> None:
        numbers = kv_random()
        numbers.seed(seed)
        for _ in range(30):
            ids = [numbers.randrange(3)] * numbers.randrange(1, 5)
            shelf.save(f"chat {numbers.randrange(4)}", ids, shared=numbers.random() < 0.3)
            for entry in shelf.store.entries():
                stored = shelf.store.load(entry)
                if stored is not None and not same(stored, entry.ids.tolist()):
                    wrong.append(entry)

    threads = [threading.Thread(target=work, args=(shelves[number % 2], number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert not [line for shelf in shelves for line in shelf.log if "refused" in line]
    assert all(path.suffix == ".kv" for path in files_under(root))
    last = Shelf(root)
    assert last.ids() == shelves[0].ids() == shelves[1].ids()
    assert last.ids() and all(last.loads_whole(entry) for entry in last.store.entries())


def test_any_name_of_a_chat(shelf: Shelf) -> None:
    for chat in ("", "../..", "\0", "\udcff", "x" * 10_000):
        shelf.save(chat, A)
    assert len(shelf.store.entries()) == 5
    assert not shelf.log


def test_it_is_light() -> None:
    heavy = {"llama_cpp", "numpy", "asyncio", "logging", "concurrent.futures", "jinja2", "hashlib"}
    code = "import sys, llmchat_engine.kvstore; print(*sys.modules)"
    path = Path(sys.modules[KvStore.__module__].__file__ or "").parents[2]
    environment = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert not heavy & set(done.stdout.split())
