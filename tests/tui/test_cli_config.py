"""`llmchat config`, `llmchat paths` and `llmchat completion`."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from llmchat_tui.cli.app import App
from llmchat_tui.cli.completion import completion
from llmchat_tui.cli.config import config
from llmchat_tui.cli.paths import paths
from llmchat_tui.errors import ConfigError
from llmchat_tui.settings import keys


def run(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=App(), catch_exceptions=False)


def test_show_is_a_config_file(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('system = "a # b"\nkeepalive = "1h"\n[sampling]\nstop = ["x"]\n')
    shown = run(config, "show").stdout
    assert tomllib.loads(shown)["sampling"] == {"stop": ["x"], "logit_bias": []}
    assert tomllib.loads(shown)["system"] == "a # b"
    assert all(f"# {key.description}\n" in shown for key in keys())
    assert tomllib.loads(run(config, "show", "--origin").stdout) == tomllib.loads(shown)
    (home / "config.toml").write_text(shown)
    assert run(config, "show").stdout == shown


def test_show_origin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCHAT_TOP_K", "3")
    run(config, "set", "model", "smol")
    shown = run(config, "show", "--origin").stdout
    assert f'model = "smol"  # {home}/config.toml:1\n' in shown
    assert "top_k = 3  # LLMCHAT_TOP_K\n" in shown
    assert "# seed =  # built-in\n" in shown
    described = json.loads(run(config, "show", "--json").stdout)
    assert described["top_k"] == {
        "value": 3,
        "origin": "LLMCHAT_TOP_K",
        "description": "choose among this many tokens; 0 is all",
    }


def test_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(config, "set", "temperature", "0.2").output == ""
    assert (home / "config.toml").read_text() == "[sampling]\ntemperature = 0.2\n"
    with pytest.raises(ConfigError, match="did you mean sampling"):
        run(config, "set", "temperatur", "1")
    with pytest.raises(ConfigError):
        run(config, "set", "temperature", "hot")
    monkeypatch.setenv("LLMCHAT_TEMPERATURE", "1")
    assert "LLMCHAT_TEMPERATURE is set" in run(config, "set", "sampling.temperature", "0.3").stderr


def test_show_has_the_keys_that_were_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "F1 in llmchat lists every action\n[keys]\n" in run(config, "show").stdout
    monkeypatch.setenv("LLMCHAT_MODEL", "smol")
    assert run(config, "set", "keys.model", "ctrl+y").output == ""
    shown = run(config, "show").stdout
    assert tomllib.loads(shown)["keys"] == {"model": "ctrl+y"}
    assert f'model = "ctrl+y"  # {home}/config.toml:2\n' in run(config, "show", "--origin").stdout
    described = json.loads(run(config, "show", "--json").stdout)
    assert described["keys.model"] == {
        "value": "ctrl+y",
        "origin": f"{home}/config.toml:2",
        "description": "Choose the model.",
    }
    (home / "config.toml").write_text(shown)
    assert run(config, "show").stdout == shown
    with pytest.raises(ConfigError, match=r"did you mean keys\.new_chat"):
        run(config, "set", "keys.new_chatt", "ctrl+y")


def test_set_repairs_a_wrong_value(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("ctx = 'big'\n")
    with pytest.raises(ConfigError):
        run(config, "show")
    run(config, "set", "ctx", "4096")
    assert "ctx = 4096" in run(config, "show").stdout


def test_path(home: Path) -> None:
    assert run(config, "path").stdout == f"{home}/config.toml\n"


def test_paths(home: Path) -> None:
    lines = dict(line.split(maxsplit=1) for line in run(paths).stdout.splitlines())
    assert lines["chats"] == f"{home}/chats.db"
    assert lines == json.loads(run(paths, "--json").stdout)
    assert not home.exists()


def test_paths_of_an_odd_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCHAT_HOME", "/tmp/a\nb\x1b[1m")
    assert "chats      /tmp/a b␛[1m/chats.db\n" in run(paths).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = run(completion, shell).stdout
    assert "_LLMCHAT_COMPLETE" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True).returncode == 0


def test_completion_of_an_unknown_shell() -> None:
    assert run(completion, "tcsh").exit_code == 2


def test_unset_takes_a_key_out_and_leaves_the_rest(home: Path) -> None:
    file = home / "config.toml"
    home.mkdir(exist_ok=True)
    file.write_text('# mine\nctx = 5  # small\nmodel = "a"\n[keys]\nnew_chat = "ctrl+y"\n')
    for key in ("ctx", "keys.new_chat", "threads"):
        run(config, "unset", key)
    assert file.read_text() == '# mine\nmodel = "a"\n[keys]\n'
    with pytest.raises(ConfigError, match="nonsense"):
        run(config, "unset", "nonsense")
