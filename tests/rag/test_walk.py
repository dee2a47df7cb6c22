"""Which files are found, which are left out and why; and that a walk stays inside, ends, and opens no document."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from llmchat_rag.errors import ParseError, RootMissing
from llmchat_rag.reading import read_file
from llmchat_rag.types import Found, Skipped
from llmchat_rag.walk import walk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def write(root: Path, *names: str, text: str = "text\n") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def found(root: Path, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    return [entry.relative for entry in walk(root, include=include, exclude=exclude) if isinstance(entry, Found)]


def left_out(root: Path) -> dict[str, str]:
    return {entry.relative: entry.reason for entry in walk(root) if isinstance(entry, Skipped)}


def test_files_come_in_a_fixed_order_with_size_and_time(root: Path) -> None:
    write(root, "b.md", "a.md", "sub/c.md", "another/d.md")
    assert found(root) == ["a.md", "b.md", "another/d.md", "sub/c.md"]
    (first, *_) = (entry for entry in walk(root) if isinstance(entry, Found))
    state = (root / "a.md").stat()
    assert (first.path, first.size, first.mtime_ns) == (root / "a.md", state.st_size, state.st_mtime_ns)


def test_a_root_may_be_one_file_and_must_be_there(root: Path) -> None:
    write(root, "a.md")
    assert found(root / "a.md") == ["a.md"]
    with pytest.raises(RootMissing, match="it is gone"):
        list(walk(root / "missing"))


def test_secrets_binaries_and_machinery_are_left_out(root: Path) -> None:
    secrets = [".env", ".env.local", "id_rsa", "id_ed25519", "a.pem", "b.key", ".ssh/config", ".netrc", "x/credentials"]
    others = [
        "a.png",
        "drawing.SVG",
        "b.zip",
        "c.gguf",
        "node_modules/x.js",
        ".git/config",
        "__pycache__/a.pyc",
        "venv/a.py",
    ]
    kept = [".env.example", "admin.js", "locks.md", "identity.md", "keys.md", "a.key.md", "environment.md"]
    write(root, *secrets, *others, *kept)
    assert found(root) == sorted(kept)
    reasons = left_out(root)
    assert reasons[".env"] == reasons[".ssh/"] == "left out: may hold secrets"
    assert reasons["a.png"] == "left out: .png files are not read"
    assert reasons["node_modules/"] == "left out: not a document"


def test_ignore_files_are_followed_as_git_does(root: Path) -> None:
    write(root, "a.log", "keep.log", "build/x.md", "sub/a.log", "sub/b.tmp", "sub/build/y.md", "c.md")
    write(root, ".gitignore", text="*.log\n!keep.log\n/build/\n# comment\n")
    write(root, "sub/.gitignore", text="*.tmp\n!a.log\n")
    assert found(root) == ["c.md", "keep.log", "sub/a.log", "sub/build/y.md"]
    assert left_out(root)["a.log"] == "left out by .gitignore"
    assert left_out(root)["sub/b.tmp"] == "left out by sub/.gitignore"


def test_the_own_ignore_file_has_the_last_word(root: Path) -> None:
    write(root, "a.log", "b.md")
    write(root, ".gitignore", text="*.log\n")
    write(root, ".llmchatignore", text="!a.log\nb.md\n")
    assert found(root) == ["a.log"]


def test_no_ignore_file_brings_a_secret_back(root: Path) -> None:
    write(root, ".env", "a.pem")
    write(root, ".llmchatignore", text="!.env\n!*.pem\n")
    assert found(root) == []


def test_include_and_exclude(root: Path) -> None:
    write(root, "a.md", "b.txt", "sub/c.md", "drafts/d.md")
    assert found(root, include=("*.md",)) == ["a.md", "drafts/d.md", "sub/c.md"]
    assert found(root, include=("*.md",), exclude=("drafts/",)) == ["a.md", "sub/c.md"]


def test_links_are_not_followed(root: Path) -> None:
    write(root, "a.md")
    write(root.parent, "outside/secret.md")
    (root / "inside.md").symlink_to("a.md")
    (root / "out").symlink_to(root.parent / "outside")
    (root / "loop").symlink_to(".")
    (root / "broken").symlink_to("missing")
    assert found(root) == ["a.md"]
    assert left_out(root)["out"] == "left out: a link that leads out of the collection"
    assert left_out(root)["loop"] == "left out: a link"


def test_a_root_that_is_a_link_is_the_folder_it_leads_to(root: Path) -> None:
    write(root, "a.md")
    (root.parent / "link").symlink_to(root)
    assert found(root.parent / "link") == ["a.md"]


def test_what_is_no_regular_file_is_not_opened(root: Path) -> None:
    os.mkfifo(root / "fifo.md")
    os.mkfifo(root / ".gitignore")
    reasons = left_out(root)
    assert reasons["fifo.md"] == "left out: a FIFO"
    assert reasons[".gitignore"] == "not followed: it is no regular file"
    with pytest.raises(ParseError, match="no regular file"):
        read_file(root / "fifo.md")


def test_large_files_are_left_out_and_never_read(root: Path) -> None:
    with (root / "sparse.txt").open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert left_out(root)["sparse.txt"] == "left out: larger than 50 MB (1,048,576 MB)"
    with pytest.raises(ParseError, match="larger than 50 MB"):
        read_file(root / "sparse.txt")


def test_a_file_is_found_once_under_its_first_name(root: Path) -> None:
    write(root, "a.md")
    os.link(root / "a.md", root / "b.md")
    assert found(root) == ["a.md"]
    assert left_out(root)["b.md"] == "left out: the same as a.md"


def test_odd_names_become_text_that_can_be_stored(root: Path) -> None:
    names = [b"caf\xe9.md", b"caf\\xe9.md", b"two\nlines.md", "é.md".encode()]
    for name in names:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(b"text")
    entries = list(walk(root))
    assert {entry.relative for entry in entries if isinstance(entry, Found)} == {"caf\\xe9.md", "two\nlines.md", "é.md"}
    assert [entry.relative for entry in entries if isinstance(entry, Skipped)] == ["caf\\xe9.md"]
    assert all(entry.relative.encode() for entry in entries)
    assert all(read_file(entry.path) == b"text" for entry in entries if isinstance(entry, Found))


def test_hostile_patterns_do_not_keep_the_walk_busy(root: Path) -> None:
    write(root, "a" * 200, "b.log")
    write(root, ".gitignore", text="a*" * 40 + "b\n" + "**/" * 60 + "x\n" + "[" * 300 + "\n!\n*.log\n")
    began = time.perf_counter()
    assert found(root) == ["a" * 200]
    assert time.perf_counter() - began < 1
    assert left_out(root)[".gitignore"].startswith("4 patterns not followed: 'a*a*")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_failure(root: Path) -> None:
    (root / "locked").mkdir(mode=0)
    assert list(walk(root)) == [Skipped("locked/", "permission denied", failed=True)]


def test_what_goes_away_while_walking_is_told(root: Path) -> None:
    write(root, "a.md", "sub/b.md")
    steps = walk(root)
    assert isinstance(next(steps), Found)
    (root / "sub" / "b.md").unlink()
    (root / "sub").rmdir()
    assert list(steps) == [Skipped("sub", "it is gone", failed=True)]


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/mem"])
def test_devices_are_refused(path: str) -> None:
    if not Path(path).exists():
        pytest.skip("not on this system")
    with pytest.raises(ParseError):
        read_file(Path(path))
