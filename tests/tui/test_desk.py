"""What the chat works with: the settings read anew, the flags over them, the models on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.screen.chatting import desk_of

from llmchat_engine.testing import FakeEngine
from llmchat_tui.config import set_value
from llmchat_tui.desk import Desk
from llmchat_tui.errors import ConfigError


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    home.mkdir()
    made = desk_of(home, FakeEngine(), sampling_over=lambda sampling: replace(sampling, seed=7))
    yield made
    made.history.close()


def test_settings_are_read_anew_when_asked_for(desk: Desk) -> None:
    set_value(desk.config.path, "system", "Be brief.")
    set_value(desk.config.path, "temperature", "0.25")
    assert (desk.system, desk.sampling().temperature) == ("", None)
    desk.reload_config()
    assert (desk.system, desk.sampling().temperature) == ("Be brief.", 0.25)


def test_flags_go_over_the_settings_also_after_they_were_read_anew(desk: Desk) -> None:
    assert desk.sampling().seed == 7
    set_value(desk.config.path, "seed", "1")
    desk.reload_config()
    assert desk.sampling().seed == 7


@pytest.mark.parametrize("flag", ["", "From the flag."])
def test_the_flags_system_prompt_wins_also_when_it_is_empty(desk: Desk, flag: str) -> None:
    set_value(desk.config.path, "system", "Be brief.")
    desk.wanted_system = flag
    desk.reload_config()
    assert desk.system == flag


def test_a_file_that_was_broken_meanwhile_leaves_the_settings_alone(desk: Desk) -> None:
    set_value(desk.config.path, "system", "Be brief.")
    desk.reload_config()
    desk.config.path.write_text("system = \n")
    with pytest.raises(ConfigError):
        desk.reload_config()
    assert desk.system == "Be brief."


def test_what_becomes_of_a_full_context_and_of_the_cache(desk: Desk) -> None:
    assert (desk.overflow, desk.store) == ("ask", True)
    set_value(desk.config.path, "overflow", "stop")
    set_value(desk.config.path, "kv_cache", "false")
    desk.reload_config()
    assert (desk.overflow, desk.store) == ("stop", False)
    desk.wanted_overflow = "drop"
    assert desk.overflow == "drop"


def test_the_flag_keeps_the_cache_off_the_disk(desk: Desk) -> None:
    desk.no_kv_cache = True
    assert not desk.store


def test_the_limit_of_files_is_that_of_stdin(desk: Desk) -> None:
    set_value(desk.config.path, "stdin_limit_mib", "3")
    desk.reload_config()
    assert desk.limits.bytes == 3 << 20


def test_models_of_the_own_folder_are_found(desk: Desk) -> None:
    before = len(desk.models())
    folder = desk.paths.models_dir / "user" / "repo"
    folder.mkdir(parents=True)
    (folder / "tiny.Q4_K_M.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    assert len(desk.models()) == before + 1
