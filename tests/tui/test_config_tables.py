"""What config.toml says about models by name: aliases, settings of one model, servers; names may hold anything."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmchat_tui.cli.app import App
from llmchat_tui.cli.config import config
from llmchat_tui.config import load_config, set_value, unset_value
from llmchat_tui.errors import ConfigError
from llmchat_tui.model_tables import Remote

WRITTEN = """\
model = "small"

[aliases]
small = "SmolLM2-135M-Instruct.Q4_1"
"qwen 2.5" = "/models/qwen.gguf"  # with a blank

[models."SmolLM2-135M-Instruct.Q4_1"]
temperature = 0.2
ctx = 4096
system = "Be brief."
stop = ["END"]
keepalive = "1h"

[models.small]
cache_type_k = "q8_0"

[remotes.work]
base_url = "http://10.0.0.5:8000/v1/"
key_env = "WORK_KEY"
timeout = 5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_the_three_tables(file: Path) -> None:
    file.write_text(WRITTEN)
    read = load_config(file, {})
    assert read.tables.aliases == {"small": "SmolLM2-135M-Instruct.Q4_1", "qwen 2.5": "/models/qwen.gguf"}
    assert read.tables.options == {
        "SmolLM2-135M-Instruct.Q4_1": {
            "temperature": 0.2,
            "ctx": 4096,
            "system": "Be brief.",
            "stop": ("END",),
            "keepalive": "1h",
        },
        "small": {"cache_type_k": "q8_0"},
    }
    assert read.tables.remotes == {"work": Remote(base_url="http://10.0.0.5:8000/v1", key_env="WORK_KEY", timeout=5.0)}
    assert read.origin('aliases."qwen 2.5"') == f"{file}:5"
    assert read.settings.model == "small"
    assert read.settings.ctx == 0


def test_no_tables_are_empty_tables(file: Path) -> None:
    file.write_text("[aliases]\n[models]\n[models.x]\n[remotes]\n")
    tables = load_config(file, {"LLMCHAT_ALIASES": "a", "LLMCHAT_TEMPERATURE": "1"}).tables
    assert (tables.aliases, tables.options, tables.remotes) == ({}, {}, {})


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("\n[aliases]\nsmall = 3", ":3: aliases.small cannot be '3' — expected text", "models alias"),
        ("[aliases]\nsmall = ''", ":2: aliases.small cannot be '' — it names no model", "models alias"),
        ("[aliases]\n'' = 'a'", ':2: aliases."" has no name that can be typed', "config set aliases"),
        ("[aliases]\n'-m' = 'a'", ":2: aliases.-m has no name that can be typed", "config set aliases"),
        ("[aliases]\nqwen2.5 = 'a'", ":2: unknown key aliases.qwen2.5 — a name with dots is written in quotes", "NAME"),
        ("[models]\nctx = 1", ":2: unknown key models.ctx — the settings of a model stand under its name", "NAME"),
        ("[models.qwen2.5]\nctx = 1", ":2: unknown key models.qwen2.5.ctx — a name with dots is written", "NAME"),
        (
            "[models.a]\ntemprature = 1",
            ":2: unknown key models.a.temprature — did you mean models.a.temperature?",
            "of",
        ),
        ("[models.a]\ncolor = 'never'", ":2: unknown key models.a.color — a model has no such setting", "system, keep"),
        ("[models.'a.b']\ntop_p = 2", """:2: models."a.b".top_p cannot be '2' — expected a number <= 1.0""", "set"),
        (
            "[models.a]\nctx = 'big'",
            ":2: models.a.ctx cannot be 'big' — expected a whole number",
            "config set models.a.",
        ),
        ("[models.a]\nkeepalive = '5x'", ":2: models.a.keepalive cannot be '5x'", "config set models.a.keepalive"),
        ("models = 3", ":1: unknown key models", "config show"),
        ("[[remotes]]\nbase_url = 'http://a'", ":1: unknown key remotes", "config show"),
        ("[remotes]\nbase_url = 'http://a'", ":2: unknown key remotes.base_url — the settings of a server", "NAME"),
        ("[remotes.a]\ntimeout = 3\nctx = 1", ":2: remotes.a has no base_url", "config set remotes.a.base_url"),
        ("[remotes.a]\nbase_url = 'a:8000'", ":2: remotes.a.base_url is no address", "http://HOST:PORT/v1"),
        ("[remotes.a]\nbase_url = 'http://me:pw@a'", ":2: remotes.a.base_url is no address", "http://HOST:PORT/v1"),
        ("[remotes.a]\nbase_ulr = 'http://a'", ":2: unknown key remotes.a.base_ulr — did you mean remotes.a.b", "HOST"),
        ("[remotes.a]\nbase_url = 'http://a'\ntimeout = 0", ":3: remotes.a.timeout cannot be '0'", "HOST"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, message: str, hint: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert hint in caught.value.hint


def test_a_key_that_stands_where_its_variable_belongs_is_not_repeated(file: Path) -> None:
    file.write_text("[remotes.a]\nbase_url = 'http://a'\nkey_env = 'sk-very-secret'\n")
    with pytest.raises(ConfigError, match="names no variable") as caught:
        load_config(file, {})
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("key", "value", "place", "wanted"),
    [
        ("aliases.small", "SmolLM2", ("aliases", "small"), "SmolLM2"),
        ("aliases.qwen2.5", "x", ("aliases", "qwen2.5"), "x"),
        ("models.qwen2.5-0.5b.temperature", "0.2", ("models", "qwen2.5-0.5b", "temperature"), 0.2),
        ("models./my models/a.gguf.ctx", "99", ("models", "/my models/a.gguf", "ctx"), 99),
        ('models."a.b".stop', '["x", "y"]', ("models", "a.b", "stop"), ["x", "y"]),
        ('models.a"b.system', "Be brief.", ("models", 'a"b', "system"), "Be brief."),
        ("models.a = 1 # b.seed", "4", ("models", "a = 1 # b", "seed"), 4),
        ("remotes.work.base_url", "http://a:1/v1/", ("remotes", "work", "base_url"), "http://a:1/v1"),
        ("keys.new_chat", "f9", ("keys", "new_chat"), "f9"),
    ],
)
def test_set_and_unset_by_name(file: Path, key: str, value: str, place: tuple[str, ...], wanted: object) -> None:
    before = "# mine\nmodel = 'a'  # one\n[models.'z.z']\nctx = 1\n"
    file.write_text(before)
    set_value(file, key, value)
    assert file.read_text().startswith(before)
    found: Any = tomllib.loads(file.read_text())
    for name in place:
        found = found[name]
    assert found == wanted
    set_value(file, key, value)
    load_config(file, {})
    unset_value(file, key)
    tables = load_config(file, {}).tables
    assert (tables.aliases, dict(tables.options), tables.remotes) == ({}, {"z.z": {"ctx": 1}}, {})


def test_more_of_one_model_goes_into_its_table(file: Path) -> None:
    for key, value in (("temperature", "0.2"), ("top_k", "9"), ("temperature", "0.3")):
        set_value(file, f"models.qwen2.5.{key}", value)
    assert file.read_text() == '[models."qwen2.5"]\ntemperature = 0.3\ntop_k = 9\n'


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("models.temperature", "1", "has no name that can be typed"),
        ("models.a.temprature", "1", "did you mean models.a.temperature"),
        ("models.a.b.top_p", "2", 'models."a.b".top_p cannot be'),
        ("aliases.", "a", "has no name"),
        ("aliases.a", "", "it names no model"),
        ("remotes.work.model", "a", "has no base_url"),
        ("remotes.work.base_url", "ftp://a", "is no address"),
    ],
)
def test_set_refuses_and_changes_nothing(file: Path, key: str, value: str, message: str) -> None:
    file.write_text("ctx = 1\n")
    with pytest.raises(ConfigError) as caught:
        set_value(file, key, value)
    assert message in str(caught.value)
    assert file.read_text() == "ctx = 1\n"


def test_an_address_stays_while_the_server_has_more(file: Path) -> None:
    file.write_text("[remotes.a]\nbase_url = 'http://a'\nmodel = 'm'\n")
    with pytest.raises(ConfigError, match="has no base_url"):
        unset_value(file, "remotes.a.base_url")
    assert "base_url" in file.read_text()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(config, arguments, obj=App(), catch_exceptions=False)


def test_show_lists_them(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text(WRITTEN)
    shown = run("show").stdout
    written = tomllib.loads(shown)
    assert written["aliases"]["qwen 2.5"] == "/models/qwen.gguf"
    assert written["models"]["SmolLM2-135M-Instruct.Q4_1"]["stop"] == ["END"]
    assert written["remotes"]["work"] == {
        "base_url": "http://10.0.0.5:8000/v1",
        "key_env": "WORK_KEY",
        "timeout": 5.0,
    }
    assert f"ctx = 4096  # {home}/config.toml:9\n" in run("show", "--origin").stdout
    described = json.loads(run("show", "--json").stdout)
    assert described["models.small.cache_type_k"]["value"] == "q8_0"
    assert described['aliases."qwen 2.5"']["origin"] == f"{home}/config.toml:5"
    (home / "config.toml").write_text(shown)
    assert run("show").stdout == shown


def test_no_variable_goes_over_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCHAT_TEMPERATURE", "1")
    assert run("set", "models.a.temperature", "0.5").stderr == ""
    assert load_config(home / "config.toml", {}).tables.options == {"a": {"temperature": 0.5}}
