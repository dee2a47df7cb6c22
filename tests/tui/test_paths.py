"""Where things live, and that only their owner can read them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmchat_tui.errors import ConfigError, StorageUnwritable
from llmchat_tui.paths import find_paths, private_dir, private_runtime_dir, write_private


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_xdg_defaults() -> None:
    paths = find_paths({"HOME": "/h"})
    assert paths.config_file == Path("/h/.config/llmchat/config.toml")
    assert paths.chats_db == Path("/h/.local/share/llmchat/chats.db")
    assert paths.kv_dir == Path("/h/.cache/llmchat/kv")
    assert paths.log_dir == Path("/h/.local/state/llmchat/logs")


def test_xdg_values_count_where_they_are_absolute() -> None:
    paths = find_paths({"HOME": "/h", "XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "relative", "XDG_STATE_HOME": ""})
    assert paths.data_dir == Path("/data/llmchat")
    assert paths.cache_dir == Path("/h/.cache/llmchat")
    assert paths.state_dir == Path("/h/.local/state/llmchat")


def test_llmchat_home_moves_all_but_the_sockets(tmp_path: Path) -> None:
    base = {"HOME": "/h", "XDG_CONFIG_HOME": "/config", "TMPDIR": "/tmp"}
    moved = find_paths({**base, "LLMCHAT_HOME": str(tmp_path)})
    for place in (moved.config_file, moved.chats_db, moved.models_dir, moved.docs_dir, moved.kv_dir, moved.log_dir):
        assert place.is_relative_to(tmp_path)
    assert moved.runtime_dir == find_paths(base).runtime_dir


def test_a_relative_llmchat_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_paths({"LLMCHAT_HOME": "here"}).data_dir == tmp_path / "here"


def test_llmchat_config_moves_the_file_alone() -> None:
    paths = find_paths({"HOME": "/h", "LLMCHAT_CONFIG": "/elsewhere/c.toml"})
    assert paths.config_file == Path("/elsewhere/c.toml")
    assert paths.config_dir == Path("/h/.config/llmchat")


def test_without_home_the_account_tells() -> None:
    assert find_paths({}).data_dir.is_absolute()


def test_without_home_and_account_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 3)
    with pytest.raises(ConfigError) as caught:
        find_paths({})
    assert "LLMCHAT_HOME" in caught.value.hint


def test_the_runtime_dir_is_the_sessions_where_it_is_ours(tmp_path: Path) -> None:
    assert find_paths({"HOME": "/h", "XDG_RUNTIME_DIR": "/tmp/none-such"}).runtime_dir.name == f"llmchat-{os.getuid()}"
    short = Path("/tmp") / f"llmchat-test-{os.getpid()}"
    short.mkdir()
    try:
        assert find_paths({"HOME": "/h", "XDG_RUNTIME_DIR": str(short)}).runtime_dir == short / "llmchat"
    finally:
        short.rmdir()


def test_the_runtime_dir_leaves_room_for_a_sockets_name(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 80)
    long.mkdir()
    paths = find_paths({"HOME": "/h", "XDG_RUNTIME_DIR": str(long), "TMPDIR": str(long)})
    assert paths.runtime_dir == Path(f"/tmp/llmchat-{os.getuid()}")


def test_private_dir_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    made = private_dir(tmp_path / "a" / "b")
    assert (mode(made), mode(made.parent)) == (0o700, 0o700)


def test_private_dir_leaves_what_is_there(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    private_dir(shared / "ours")
    private_dir(shared)
    assert mode(shared) == 0o755


def test_private_dir_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnwritable, match="cannot make the directory"):
        private_dir(tmp_path / "file" / "below")


def test_private_runtime_dir_takes_rights_away(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir(mode=0o777)
    assert mode(private_runtime_dir(path)) == 0o700


def test_private_runtime_dir_refuses_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(StorageUnwritable, match="cannot be trusted"):
        private_runtime_dir(tmp_path / "run")


def test_private_runtime_dir_refuses_another_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = private_dir(tmp_path / "run")
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StorageUnwritable, match="cannot be trusted"):
        private_runtime_dir(path)


def test_write_private_replaces_whole(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_bytes(), mode(path), os.listdir(tmp_path)) == (b"new", 0o600, ["f"])


def test_write_private_goes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_private(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_write_private_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "dir" / "full").mkdir(parents=True)
    with pytest.raises(StorageUnwritable, match="cannot write"):
        write_private(tmp_path / "dir", b"x")
    assert os.listdir(tmp_path) == ["dir"]
