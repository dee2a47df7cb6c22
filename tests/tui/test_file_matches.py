"""Finding files for an `@` word: what is walked, what fits best, what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmchat_tui.file_matches import MOST_MATCHES, FileWalk, best, entries_of, here, is_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = (
        "README.md", "src/readme.py", "src/deep/er/note.txt", "src/bread.md", ".git/config", ".hidden",
        "node_modules/x/readme.md", "src/__pycache__/x.pyc", ".venv/readme", "my file.txt", "größe.md",
    )  # fmt: skip
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.md").symlink_to("README.md")
    (tmp_path / "dead").symlink_to("nothing")
    os.mkfifo(tmp_path / "fifo")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).touch()
    return tmp_path


def walked(root: Path) -> list[str]:
    walk = FileWalk(root)
    while not walk.done:
        walk.go_on()
    return walk.paths


def test_the_walk_leaves_out_what_nobody_means(tree: Path) -> None:
    assert walked(tree) == [
        "README.md", "größe.md", "link.md", "my file.txt", "src/bread.md", "src/readme.py", "src/deep/er/note.txt",
    ]  # fmt: skip


def test_the_walk_is_bounded_and_goes_in_slices(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = FileWalk(tree)
    walk.go_on(-1.0)
    assert not walk.done
    assert len(walk.paths) <= 1
    monkeypatch.setattr("llmchat_tui.file_matches.MOST_ENTRIES", 3)
    assert len(walked(tree)) <= 3
    assert walked(tree / "nowhere") == []


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("readme", ["README.md", "src/readme.py"]),
        ("read", ["README.md", "src/readme.py", "src/bread.md"]),
        ("rdm", ["README.md", "src/bread.md", "src/readme.py"]),
        ("s/note", ["src/deep/er/note.txt"]),
        ("deep", ["src/deep/er/note.txt"]),
        ("GRÖSSE", ["größe.md"]),
        ("größe", ["größe.md"]),
        ("zzz", []),
    ],
)
def test_the_best_match_comes_first(word: str, found: list[str], tree: Path) -> None:
    assert best(walked(tree), word) == found


def test_an_unlucky_word_costs_no_time() -> None:
    paths = ["a" * 200 + str(number) for number in range(2_000)]
    assert best(paths, "a" * 100 + "b") == []
    assert len(best(paths, "")) == MOST_MATCHES


def test_a_path_lists_one_directory(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree / "src"))
    assert entries_of("./s", tree) == ["./src/", "./größe.md", "./node_modules/"]
    assert entries_of(f"{tree}/src/re", tree) == [f"{tree}/src/readme.py", f"{tree}/src/bread.md"]
    assert entries_of("../", tree / "src") == [
        "../src/", "../loop/", "../link.md", "../größe.md", "../README.md", "../my file.txt", "../node_modules/",
    ]  # fmt: skip
    assert entries_of("./.hi", tree) == ["./.hidden"]
    assert entries_of("~", tree) == ["~/"]
    assert entries_of("~/deep", tree) == ["~/deep/"]
    assert entries_of("/no/such/dir/x", tree) == []
    assert entries_of("~nobody-here/x", tree) == []
    assert entries_of("/a\0b/c", tree) == []


def test_which_words_are_paths() -> None:
    assert all(map(is_path, ("/", "~", "~/x", "./x", "../x")))
    assert not any(map(is_path, ("", "x", "src/x", ".", "..", ".hidden")))


def test_a_directory_that_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert here() == gone
    gone.rmdir()
    assert here() == Path("/")
    monkeypatch.chdir(tmp_path)
