"""Which models the files of a repository make, and which of them a machine gets."""

from __future__ import annotations

import pytest

from llmchat_engine.errors import HubMissing
from llmchat_engine.models.hub.quants import best_variant, expected_size, named_variant, needed, quant_in, variants
from llmchat_engine.models.hub.types import HubFile, Reference, Variant

GB = 1_000_000_000

NAMES = {
    "Qwen3-4B-Q4_K_M.gguf": "Q4_K_M",
    "smollm2-1.7b-instruct-q4_k_m.gguf": "Q4_K_M",
    "SmolLM2-135M-Instruct.Q4_1.gguf": "Q4_1",
    "model.IQ4_XS.gguf": "IQ4_XS",
    "m-IQ3_XXS.gguf": "IQ3_XXS",
    "gemma-3-1b-it-f16.gguf": "F16",
    "m-BF16.gguf": "BF16",
    "m.fp16.gguf": "F16",
    "m-F32.gguf": "F32",
    "gpt-oss-20b-mxfp4.gguf": "MXFP4",
    "m-MXFP4_MOE.gguf": "MXFP4_MOE",
    "m-UD-Q4_K_XL.gguf": "UD-Q4_K_XL",
    "m-UD-IQ1_S.gguf": "UD-IQ1_S",
    "m-Q4_0_4_4.gguf": "Q4_0_4_4",
    "m-Q4_0.gguf": "Q4_0",
    "m-Q6_K_L.gguf": "Q6_K_L",
    "m-f32-Q6_K.gguf": "Q6_K",
    "Model-Q6_K-f32.gguf": "Q6_K",
    "m-TQ1_0.gguf": "TQ1_0",
    "m-i1-Q4_K_S.gguf": "Q4_K_S",
    "m-iQ4_NL.gguf": "IQ4_NL",
    "model.gguf": "",
    "Q4U-model.gguf": "",
    "xQ8_0x.gguf": "",
    "bf160.gguf": "",
}


def files(*paths: str, size: int = 1) -> list[HubFile]:
    return [HubFile(path, size) for path in paths]


def family(billions: float, *quants: str) -> tuple[Variant, ...]:
    """Returns the variants of a model with so many billion parameters."""
    made = [HubFile(f"m-{quant}.gguf", expected_size(round(billions * GB), quant)) for quant in quants]
    return variants(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_tells_the_quantisation(name: str) -> None:
    assert quant_in(name) == NAMES[name]


def test_each_file_is_a_model_the_largest_first() -> None:
    found = variants([HubFile("m-Q4_K_M.gguf", 5), HubFile("m-Q8_0.gguf", 9), HubFile("README.md", 1)])
    assert [(variant.quant, variant.size) for variant in found] == [("Q8_0", 9), ("Q4_K_M", 5)]


def test_what_is_no_model_is_left_out() -> None:
    others = files(
        "mmproj-F16.gguf", "a-mmproj-model-Q8_0.GGUF", "imatrix_x.gguf", "imatrix.dat", "mtp-m.gguf", "m.bin"
    )
    assert variants([*others, *files("m-Q8_0-imatrix.gguf", "M.GGUF")]) == (
        Variant("?", (HubFile("M.GGUF", 1),)),
        Variant("Q8_0", (HubFile("m-Q8_0-imatrix.gguf", 1),)),
    )


def test_the_parts_of_a_split_model_are_one_in_order() -> None:
    parts = files("Q8_0/m-00002-of-00003.gguf", "Q8_0/m-00001-of-00003.gguf", "Q8_0/m-00003-of-00003.gguf", size=2)
    (found,) = variants(parts)
    assert found.quant == "Q8_0" and found.size == 6
    assert [file.path[-19:-14] for file in found.files] == ["00001", "00002", "00003"]


@pytest.mark.parametrize(
    "paths",
    [
        ("m-00001-of-00002.gguf",),
        ("m-00001-of-00003.gguf", "m-00003-of-00003.gguf"),
        ("a/m-00001-of-00002.gguf", "b/m-00002-of-00002.gguf"),
        ("m-00000-of-00002.gguf", "m-00001-of-00002.gguf"),
        ("m-00001-of-00002.gguf", "m-00002-of-00003.gguf"),
        ("m-99999-of-99999.gguf",),
    ],
)
def test_a_split_model_that_is_not_whole_is_none(paths: tuple[str, ...]) -> None:
    assert variants(files(*paths)) == ()


def test_the_folder_tells_where_the_name_does_not() -> None:
    (found,) = variants(files("IQ4_XS/model.gguf"))
    assert found.quant == "IQ4_XS"


ALL = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_XS", "Q3_K_M", "Q2_K")


@pytest.mark.parametrize(
    ("room", "quant"),
    [(40, "Q8_0"), (10.3, "Q8_0"), (10.1, "Q6_K"), (7.5, "Q5_K_M"), (6.0, "Q4_K_M"), (5.7, "IQ4_XS"),
     (5.0, "Q3_K_M"), (4.0, "Q2_K")],
)  # fmt: skip
def test_the_best_that_fits_is_taken(room: float, quant: str) -> None:
    """8 billion parameters: Q8_0 is 8.5 GB and needs 10.2 GB; what is larger than Q8_0 only costs."""
    best = best_variant(family(8, *ALL), round(room * GB))
    assert best is not None and best.quant == quant


def test_nothing_is_taken_where_nothing_fits() -> None:
    assert best_variant(family(8, *ALL), 3 * GB) is None
    assert best_variant((), 100 * GB) is None


def test_floats_are_taken_where_there_is_nothing_else() -> None:
    best = best_variant(family(1, "F16", "F32"), 100 * GB)
    assert best is not None and best.quant == "F16"
    best = best_variant(family(8, "F16", "Q2_K"), 100 * GB)
    assert best is not None and best.quant == "F16"


def test_a_small_model_keeps_its_four_bits() -> None:
    small, tight = family(1.7, *ALL), needed(expected_size(1_700_000_000, "Q3_K_M"))
    assert best_variant(small, tight) is None
    best = best_variant(family(1.7, "Q3_K_M", "Q2_K"), tight)
    assert best is not None and best.quant == "Q3_K_M"
    best = best_variant(family(4, *ALL), needed(expected_size(4 * GB, "Q3_K_M")))
    assert best is not None and best.quant == "Q3_K_M"


@pytest.mark.parametrize(
    ("bandwidth", "quant"), [(100, "Q8_0"), (60, "Q6_K"), (46, "Q5_K_M"), (40, "Q4_K_M"), (20, "Q4_K_M"), (1, "Q4_K_M")]
)
def test_speed_gives_way_to_four_bits_and_no_further(bandwidth: int, quant: str) -> None:
    """8 billion parameters: with 20 GB/s nothing with four bits writes 8 tokens a second."""
    best = best_variant(family(8, *ALL), 100 * GB, bandwidth * GB)
    assert best is not None and best.quant == quant


def test_without_the_centre_the_next_smaller_is_taken_then_the_smallest() -> None:
    best = best_variant(family(8, "F16", "Q8_0", "IQ4_XS", "Q4_0", "Q2_K"), 100 * GB, GB)
    assert best is not None and best.quant == "IQ4_XS"
    best = best_variant(family(8, "F16", "Q8_0", "Q6_K"), 100 * GB, GB)
    assert best is not None and best.quant == "Q6_K"


def test_sizes_that_are_not_known_and_types_that_are_gone_are_no_choice() -> None:
    assert best_variant(variants(files("m-Q8_0.gguf", size=0)), 100 * GB) is None
    assert best_variant(family(8, "Q4_0_4_4"), 100 * GB) is None


def test_a_name_that_tells_nothing_comes_last() -> None:
    known = [HubFile("m.gguf", 8 * GB), HubFile("m-Q2_K.gguf", 3 * GB)]
    best = best_variant(variants(known), 100 * GB)
    assert best is not None and best.quant == "Q2_K"
    best = best_variant(variants(known[:1]), 100 * GB)
    assert best is not None and best.quant == "?"


def test_a_variant_is_named_by_its_quantisation_or_its_file() -> None:
    found = variants(files("m-Q4_K_M.gguf", "m-UD-Q2_K_XL.gguf", "x/s-00001-of-00002.gguf", "x/s-00002-of-00002.gguf"))
    for named, path in {
        Reference("u/r", "Q4_K_M"): "m-Q4_K_M.gguf",
        Reference("u/r", "Q2_K_XL"): "m-UD-Q2_K_XL.gguf",
        Reference("u/r", "UD-Q2_K_XL"): "m-UD-Q2_K_XL.gguf",
        Reference("u/r", file="x/s-00002-of-00002.gguf"): "x/s-00001-of-00002.gguf",
        Reference("u/r", file="m-Q4_K_M.gguf"): "m-Q4_K_M.gguf",
        Reference("u/r", file="s-00001-of-00002.gguf"): "x/s-00001-of-00002.gguf",
    }.items():
        assert named_variant(found, named).files[0].path == path
    assert named_variant(found[:1], Reference("u/r")) == found[0]


@pytest.mark.parametrize(
    ("reference", "told", "hint"),
    [
        (Reference("u/r", "Q9"), "u/r has no Q9 — there are: Q4_0, b/m-Q8_0.gguf", "llmchat pull u/r:Q4_0"),
        (Reference("u/r", file="x.gguf"), "u/r has no x.gguf — there are: m-Q4_0.gguf", "llmchat pull u/r/m-Q4_0.gguf"),
        (Reference("u/r", "Q8_0"), "2 models that this may mean — there are: b/m-Q8_0.gguf, a/m-Q8_0.gguf",
         "llmchat pull u/r/b/m-Q8_0.gguf"),
        (Reference("u/r"), "3 models", "llmchat pull u/r:Q4_0"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_leaves_a_choice_names_those_there_are(reference: Reference, told: str, hint: str) -> None:
    found = variants([HubFile("a/m-Q8_0.gguf", 1), HubFile("b/m-Q8_0.gguf", 2), HubFile("m-Q4_0.gguf", 3)])
    with pytest.raises(HubMissing) as missing:
        named_variant(found, reference)
    assert told in str(missing.value)
    assert missing.value.hint == hint


def test_a_repository_without_models_says_so() -> None:
    with pytest.raises(HubMissing) as missing:
        named_variant((), Reference("u/r-GGUF", "Q8_0"))
    assert missing.value.hint == "search for it: llmchat models search r"


def test_sizes_are_expected_from_the_parameters() -> None:
    assert expected_size(8 * GB, "Q8_0") == pytest.approx(8.5 * GB)
    assert expected_size(8 * GB, "UD-Q4_K_XL") == pytest.approx(4.95 * GB)
    assert expected_size(8 * GB, "?") == expected_size(0, "Q8_0") == 0
