"""Settings: where they come from, and what is said when one is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llmchat_engine import Sampling
from llmchat_tui.config import load_config, set_value
from llmchat_tui.config_values import parse_duration, sampling_value
from llmchat_tui.errors import ConfigError
from llmchat_tui.settings import SAMPLING_KEYS, Settings, keys, usable_sampling
from llmchat_tui.toml_edit import flatten

WRITTEN = """\
# My settings.
model = "smol"  # the small one

keepalive = '1h'

# How it speaks.
[sampling]
temperature = 0.5 # calm # really
stop = [
  "END",  # one
  "#",
]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_no_file_is_no_settings(file: Path) -> None:
    config = load_config(file, {})
    assert config.settings == Settings()
    assert config.origin("model") == "built-in"
    assert config.keepalive_seconds == 300
    assert config.sampling == Sampling()
    assert not file.exists()


def test_every_setting_knows_where_it_comes_from(file: Path) -> None:
    file.write_text(WRITTEN)
    config = load_config(file, {"LLMCHAT_MODEL": "big", "LLMCHAT_TOP_K": "7", "LLMCHAT_SYSTEM": ""})
    assert config.settings.model == "big"
    assert config.sampling == Sampling(temperature=0.5, top_k=7, stop=("END", "#"))
    assert config.keepalive_seconds == 3600
    origins = {name: config.origin(name) for name in ("model", "keepalive", "temperature", "stop", "top_k", "system")}
    assert origins == {
        "model": "LLMCHAT_MODEL",
        "keepalive": f"{file}:4",
        "temperature": f"{file}:8",
        "stop": f"{file}:9",
        "top_k": "LLMCHAT_TOP_K",
        "system": "built-in",
    }


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "\ufeffctx = 1\r\nmodel = 'a'\r\n", "[sampling]\n"])
def test_odd_but_valid_files(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    assert load_config(file, {}).settings.model == ("a" if "model" in text else "")


def test_every_key_can_be_set_by_its_variable(file: Path) -> None:
    written = {
        "model": "a",
        "system": "b",
        "keepalive": "0",
        "markdown": "false",
        "color": "never",
        "theme": "nord",
        "reading_width": "80",
        "chat_list": "hide",
        "batch": "64",
        "cache_type_k": "q8_0",
        "cache_type_v": "q4_0",
        "overflow": "stop",
        "docs_fusion": "rrf",
        "rerank": "off",
        "reranker": "c",
        "embedder": "d",
        "vector_server": "e",
        "base_url": "f",
        "rpc_servers": "g",
        "stop": '["x", "y"]',
        "logit_bias": "#1=2",
    }
    environ = {f"LLMCHAT_{key.name.upper()}": written.get(key.name, "1") for key in keys()}
    config = load_config(file, environ)
    values = {key.name: getattr(config.settings, key.name) for key in keys()}
    expected = {
        **written,
        "markdown": False,
        "reading_width": 80,
        "batch": 64,
        "stop": ("x", "y"),
        "logit_bias": ("#1=2",),
    }
    assert values == {key.name: expected.get(key.name, 1) for key in keys()}
    assert {config.origin(key.name) for key in keys()} == set(environ)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("model = ", r":1:9: not valid TOML — invalid value", "edit "),
        ("a = 1\nmodel = [", r":2(:\d+)?: not valid TOML", "edit "),
        ("ctx = 1\nctx = 2", r":2(:\d+)?: not valid TOML — cannot overwrite a value", "edit "),
        ("x = " + "[" * 9000, "not valid TOML", "edit "),
        ("ctx = " + "9" * 5000, "not valid TOML", "edit "),
        ("\nmodle = 1", ":2: unknown key modle — did you mean model", "config show"),
        (
            "[sampling]\n\ntemprature = 1",
            ":3: unknown key sampling.temprature — did you mean sampling.temp",
            "config show",
        ),
        ("zzz = 1", ":1: unknown key zzz — there is no such key", "config show"),
        ("[other]\nkey = 1", ":2: unknown key other.key", "config show"),
        ("[[sampling]]\ntop_k = 1", ":1: unknown key sampling", "config show"),
        ("temperature = 1", ":1: temperature is in the wrong place", "sampling.temperature"),
        ("[sampling]\nmodel = 'a'", ":2: sampling.model is in the wrong place", "write it as model"),
        ("model = 3", ":1: model cannot be '3' — expected text, got a whole number", "llmchat config set model"),
        ("markdown = 'yes'", ":1: markdown cannot be 'yes' — expected true or false, got text", "set markdown"),
        ("color = 'blue'", ":1: color cannot be 'blue' — it is none of auto, always, never", "set color"),
        ("model = 2020-01-01", ":1: model cannot be '2020-01-01'", "set model"),
        ("keepalive = '5x'", ":1: keepalive cannot be '5x'", "set keepalive"),
        ("keepalive = -1", ":1: keepalive cannot be '-1'", "set keepalive"),
        ("stdin_limit_mib = 0", ":1: stdin_limit_mib cannot be '0' — expected a whole number >= 1", "set stdin"),
        ("[sampling]\ntop_p = 1.5", ":2: top_p cannot be '1.5' — expected a number <= 1.0", "set top_p"),
        ("[sampling]\ntemperature = nan", ":2: temperature cannot be 'nan'", "set temperature"),
        ("[sampling]\ntemperature = inf", ":2: temperature cannot be 'inf'", "set temperature"),
        ("[sampling]\nstop = ['']", ":2: stop cannot be", "set stop"),
        ("[sampling]\nstop = 'a'", ":2: stop cannot be 'a' — expected a list, got text", "set stop"),
        ("[sampling]\nseed = 4294967295", ":2: seed cannot be", "set seed"),
        ("reading_width = 39", ":1: reading_width cannot be '39' — expected a whole number >= 40", "set reading_width"),
        ("batch = 16", ":1: batch cannot be '16' — expected a whole number >= 32", "set batch"),
        ("cache_type_v = 'q5_0'", ":1: cache_type_v cannot be 'q5_0' — it is none of", "set cache_type_v"),
        ("kv_cache_gib = nan", ":1: kv_cache_gib cannot be 'nan' — expected a number >= 0.0", "set kv_cache_gib"),
        ("overflow = 'cut'", ":1: overflow cannot be 'cut' — it is none of", "set overflow"),
        ("chat_list = 'no'", ":1: chat_list cannot be 'no' — it is none of", "set chat_list"),
        ("[keys]\n\nnew_chta = 'f9'", ":3: unknown key keys.new_chta — did you mean keys.new_chat", "F1"),
        ("[keys]\nzzz = 'f9'", ":2: unknown key keys.zzz — there is no such action", "F1"),
        ("keys.new_chat = 'ctlr+n'", ":1: keys.new_chat cannot be 'ctlr.n' — 'ctlr' is", "set keys.new_chat"),
        ("[keys]\nnew_chat = ''", ":2: keys.new_chat cannot be '' — ", "set keys.new_chat"),
        ("[keys]\nnew_chat = 3", ":2: keys.new_chat cannot be '3' — expected text", "set keys.new_chat"),
        ("[keys]\nnew_chat = ['f9']", ":2: keys.new_chat cannot be", "set keys.new_chat"),
        ("[keys.new_chat]\nkey = 'f9'", ":2: unknown key keys.new_chat.key — did you mean keys.new_chat", "F1"),
        ("keys = 'f9'", ":1: unknown key keys", "config show"),
        ("[[keys]]\nnew_chat = 'f9'", ":1: unknown key keys", "config show"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, message: str, hint: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert str(caught.value).startswith(str(file))
    assert re.search(message, str(caught.value))
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 500
    assert file.read_text() == text


def test_what_is_wrong_with_a_variable_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match="LLMCHAT_TOP_K: top_k cannot be 'many' — expected a whole number"):
        load_config(file, {"LLMCHAT_TOP_K": "many"})
    with pytest.raises(ConfigError, match="LLMCHAT_STOP: stop cannot be"):
        load_config(file, {"LLMCHAT_STOP": "[1"})


def test_keys_of_the_chat(file: Path) -> None:
    assert load_config(file, {}).keys == {}
    file.write_text("[keys]\nnew_chat = 'ctrl+y'\nnext_message = 'j, down'\n")
    config = load_config(file, {"LLMCHAT_NEW_CHAT": "f9", "LLMCHAT_KEYS": "f9"})
    assert config.keys == {"new_chat": "ctrl+y", "next_message": "j, down"}
    assert (config.origin("keys.new_chat"), config.origin("keys.model")) == (f"{file}:2", "built-in")
    assert config.settings == Settings()


def test_the_keys_are_read_only_where_there_are_some(file: Path) -> None:
    file.write_text("model = 'a'\n")
    program = "import sys; from pathlib import Path; from llmchat_tui.config import load_config\n"
    program += f"load_config(Path({str(file)!r}), {{}}); assert 'llmchat_tui.keymap' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


def test_files_that_are_none(tmp_path: Path) -> None:
    pipe, big, binary = tmp_path / "pipe", tmp_path / "big", tmp_path / "binary"
    os.mkfifo(pipe)
    big.write_bytes(b"#" * (1 << 20) + b"\n")
    binary.write_bytes(b"model = 'a'\n\xff\xfe")
    for path, message in (
        (tmp_path, "it is not a file"),
        (pipe, "it is not a file"),
        (big, "1,048,577 bytes"),
        (binary, ":2: not valid TOML — it is not UTF-8 text"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(path, {})
    assert load_config(Path(os.devnull), {}).settings == Settings()


def test_set_keeps_every_other_byte(file: Path) -> None:
    file.write_text(WRITTEN)
    set_value(file, "temperature", "0.9")
    set_value(file, "model", 'a "b"\\')
    set_value(file, "sampling.stop", "DONE")
    assert file.read_text() == (
        WRITTEN.replace("0.5", "0.9")
        .replace('"smol"', r'"a \"b\"\\"')
        .replace('[\n  "END",  # one\n  "#",\n]', '["DONE"]')
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(file.parent) == ["config.toml"]


@pytest.mark.parametrize(
    ("text", "key", "value", "result"),
    [
        ("", "ctx", "9", "ctx = 9\n"),
        ("", "top_k", "9", "[sampling]\ntop_k = 9\n"),
        ("model = 'a'", "ctx", "9", "model = 'a'\nctx = 9\n"),
        ("model = 'a'\n\n[sampling]\n", "ctx", "9", "model = 'a'\nctx = 9\n\n[sampling]\n"),
        ("# about\n[sampling]\n", "ctx", "9", "ctx = 9\n\n# about\n[sampling]\n"),
        ("[sampling]\nseed = 1\n", "top_k", "9", "[sampling]\nseed = 1\ntop_k = 9\n"),
        ("model = 'a'\n", "top_k", "9", "model = 'a'\n\n[sampling]\ntop_k = 9\n"),
        ("sampling.top_k = 1\n", "top_k", "9", "sampling.top_k = 9\n"),
        ("model = 'a'\r\nctx = 1 # c\r\n", "ctx", "9", "model = 'a'\r\nctx = 9 # c\r\n"),
        ("model = 'a'\r\n", "ctx", "9", "model = 'a'\r\nctx = 9\r\n"),
        ("\ufeffctx = 1\n", "ctx", "9", "\ufeffctx = 9\n"),
        (
            'system = """\n# no comment\nctx = 1\n"""\n',
            "ctx",
            "9",
            'system = """\n# no comment\nctx = 1\n"""\nctx = 9\n',
        ),
        ("[sampling]\ntop_k = 'bad'\n", "top_k", "9", "[sampling]\ntop_k = 9\n"),
        ("", "keys.new_chat", "ctrl+y", '[keys]\nnew_chat = "ctrl+y"\n'),
        ("[keys]\nnew_chat = 'f9' # c\n", "keys.new_chat", "f8,f7", '[keys]\nnew_chat = "f8,f7" # c\n'),
        ("[keys]\nmodel = 'f9'\n", "model", "a", "model = \"a\"\n\n[keys]\nmodel = 'f9'\n"),
        ("model = 'a'\n", "keys.model", "f9", "model = 'a'\n\n[keys]\nmodel = \"f9\"\n"),
    ],
)
def test_set_finds_the_place(file: Path, text: str, key: str, value: str, result: str) -> None:
    file.write_bytes(text.encode())
    set_value(file, key, value)
    assert file.read_bytes().decode() == result


@pytest.mark.parametrize(
    ("text", "key", "value", "message"),
    [
        ("", "modle", "a", "did you mean model?"),
        ("", "top_p", "2", "expected a number <= 1.0"),
        ("", "model", "\udcff", "model cannot be"),
        ("", "keys.new_chta", "f9", "did you mean keys.new_chat?"),
        ("", "keys.new_chat", "hyper+n", "keys.new_chat cannot be"),
        ("", "keys.new_chat", "\udcff", "keys.new_chat cannot be"),
        ("", "keys.", "f9", "unknown key keys."),
        ("keys = {model = 'f9'}", "keys.model", "f8", "too special"),
        ("model = ", "ctx", "1", "not valid TOML"),
        ("unknown = 1", "ctx", "1", "unknown key"),
        ("sampling = {top_k = 1, seed = 2}", "top_k", "9", "too special"),
        ("sampling = {seed = 2}", "top_k", "9", "too special"),
        ("sampling.seed = 2", "top_k", "9", "too special"),
    ],
)
def test_set_refuses_and_changes_nothing(file: Path, text: str, key: str, value: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        set_value(file, key, value)
    assert message in str(caught.value)
    assert file.read_text() == text


_TOML_VALUES = st.one_of(
    st.integers(-9, 9).map(str),
    st.sampled_from(['"#"', "'''\n# x\n'''", "[1, # one\n 2]", '"""\nx = 1\n[sampling]\n"""', "true", "{a = 1}"]),
)


@given(
    top=st.lists(_TOML_VALUES, max_size=3),
    inside=st.none() | st.lists(_TOML_VALUES, max_size=3),
    comment=st.sampled_from(["", " # c", "\n# line", "\n"]),
    value=st.text(st.characters(codec="utf-8"), max_size=8),
    name=st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["a.b", 'a"b', "a = b", "a]#b", ""]),
)
@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_edit_changes_one_key_of_any_file(
    top: list[str], inside: list[str] | None, comment: str, value: str, name: str
) -> None:
    from llmchat_tui.toml_edit import with_value, without_key

    lines = [f"k{i} = {text}{comment}" for i, text in enumerate(top)]
    if inside is not None:
        lines += [f"[sampling]{comment}", *(f"s{i} = {text}{comment}" for i, text in enumerate(inside))]
    text = "\n".join(lines)
    before = flatten(tomllib.loads(text))
    for place in (("model",), ("sampling", "seed"), ("models", name, "ctx"), ("aliases", name)):
        edited = with_value(text, place, value)
        assert flatten(tomllib.loads(edited)) == {**before, place: value}
        assert flatten(tomllib.loads(with_value(edited, place, 1))) == {**before, place: 1}
        assert flatten(tomllib.loads(without_key(edited, place))) == before


def test_settings_that_are_set_at_the_same_time_are_all_kept(file: Path) -> None:
    names = [f"n{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: set_value(file, f"aliases.{name}", "smol"), names))
    assert {*load_config(file, {}).tables.aliases} == {*names}
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_nothing_is_set_where_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "null"
    nowhere.touch()
    monkeypatch.setattr(os, "devnull", str(nowhere))
    with pytest.raises(ConfigError, match="keeps nothing"):
        set_value(nowhere, "ctx", "1")
    assert nowhere.read_bytes() == b""


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("300", 300), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("1.5d", 129_600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5x", "-1", "m", "5 m", "1e9", "nan", "٥m", "9" * 400, "99999d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_duration(text)


def test_sampling_values_of_flags() -> None:
    assert sampling_value("repeat_penalty", "1.1") == 1.1
    assert sampling_value("stop", "END") == ("END",)
    with pytest.raises(ConfigError, match="unknown sampling value model"):
        sampling_value("model", "a")
    with pytest.raises(ConfigError, match="min_p cannot be '3'"):
        sampling_value("min_p", "3")


def test_sampling_values_of_files() -> None:
    good = {"temperature": 0, "top_k": 3, "stop": ["a"], "seed": None}
    bad = {"min_p": 3, "top_p": "much", "seed": 2**40, "max_tokens": True, "model": "a", "ctx": 5, "": 1}
    assert usable_sampling(good | {name: value for name, value in bad.items() if name != "seed"}) == good
    assert usable_sampling(bad) == {}


def test_every_key_is_described() -> None:
    assert [key.name for key in keys()] == list(Settings.__struct_fields__)
    assert {key.name for key in keys() if key.table} == SAMPLING_KEYS
    assert all(key.description for key in keys())
