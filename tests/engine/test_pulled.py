"""What was pulled: records that survive damage, and a removal that touches nothing else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.engine.downloads import files_in

from llmchat_engine.errors import ModelMissing
from llmchat_engine.models.file_lock import try_lock
from llmchat_engine.models.hub.parts import LOCK, NOTE, PART, beside
from llmchat_engine.models.hub.pulled import RECORDS, Record, keep_record, partial, record_of, records, remove

REPO = "user/model-GGUF"


def made(models_dir: Path, *names: str, repo: str = REPO) -> list[Path]:
    """Puts pulled files into a repository's folder."""
    paths = []
    for name in names:
        path = models_dir / repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")
        keep_record(
            models_dir / repo, Record(path, repo, "c" * 40, "a" * 64, 4, "mit", "2026-11-22T19:50:58Z", "user/m")
        )
        paths.append(path)
    return paths


def begun(path: Path) -> None:
    """Leaves an unfinished download."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside(path, PART).write_bytes(b"GG")
    beside(path, NOTE).write_text('{"size": 4, "sha256": "", "etag": ""}')


def test_records_are_told_by_path_and_only_of_what_is_there(tmp_path: Path) -> None:
    b, a, gone = made(tmp_path, "b.gguf", "sub/a.gguf", "gone.gguf")
    (other,) = made(tmp_path, "x.gguf", repo="another/one")
    gone.unlink()
    assert [record.path for record in records(tmp_path)] == [other, b, a]
    record = record_of(tmp_path, a)
    assert record == Record(a, REPO, "c" * 40, "a" * 64, 4, "mit", "2026-11-22T19:50:58Z", "user/m")
    assert records(tmp_path / "nowhere") == () and partial(tmp_path / "nowhere") == ()


def test_a_record_is_found_in_any_spelling_of_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = made(tmp_path / "models", "a.gguf")
    (tmp_path / "link").symlink_to(tmp_path / "models")
    monkeypatch.chdir(path.parent)
    for spelling in (
        Path("a.gguf"),
        path.parent / ".." / path.parent.name / "a.gguf",
        tmp_path / "link" / REPO / "a.gguf",
    ):
        assert record_of(tmp_path / "models", spelling) is not None, spelling
        assert record_of(tmp_path / "link", spelling) is not None, spelling
    assert record_of(tmp_path / "models", Path("b.gguf")) is None
    assert record_of(tmp_path / "models", tmp_path / "a.gguf") is None


def test_records_are_private_and_replaced_whole(tmp_path: Path) -> None:
    (path,) = made(tmp_path, "a.gguf")
    made(tmp_path, "a.gguf", "b.gguf")
    assert stat.S_IMODE((path.parent / RECORDS).stat().st_mode) == 0o600
    assert files_in(path.parent) == [RECORDS, "a.gguf", "b.gguf"]
    assert len(records(tmp_path)) == 2


DAMAGED = [
    b"",
    b"\x00\xff",
    b"[]",
    b"{}",
    b'{"files": []}',
    b'{"files": {"a.gguf": null}}',
    b'{"files": {"a.gguf": {"repo": 1}}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("data", DAMAGED)
def test_damaged_records_break_no_listing(tmp_path: Path, data: bytes) -> None:
    made(tmp_path, "a.gguf")
    made(tmp_path, "x.gguf", repo="another/one")
    (tmp_path / REPO / RECORDS).write_bytes(data)
    assert [record.repo for record in records(tmp_path)] == ["another/one"]


def test_a_record_that_leads_out_of_its_folder_is_none(tmp_path: Path) -> None:
    (path,) = made(tmp_path / "models", "a.gguf")
    (tmp_path / "mine").write_bytes(b"mine")
    told = json.loads((path.parent / RECORDS).read_text())
    fields = told["files"]["a.gguf"]
    told["files"] = dict.fromkeys(("../../../mine", str(tmp_path / "mine"), "sub/../../../../mine"), fields)
    (path.parent / RECORDS).write_text(json.dumps(told))
    assert records(tmp_path / "models") == ()
    with pytest.raises(ModelMissing):
        remove(tmp_path / "models", tmp_path / "mine")
    with pytest.raises(ModelMissing):
        remove(tmp_path / "models", path.parent)
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_removed_file_takes_its_record_and_empty_folders_along(tmp_path: Path) -> None:
    a, b = made(tmp_path, "sub/a.gguf", "b.gguf")
    begun(a)
    assert remove(tmp_path, a) == (a, beside(a, PART), beside(a, NOTE))
    assert files_in(tmp_path / REPO) == [RECORDS, "b.gguf"]
    assert remove(tmp_path, b) == (b,)
    assert files_in(tmp_path) == []


def test_a_split_model_goes_as_a_whole(tmp_path: Path) -> None:
    parts = made(tmp_path, *(f"a-{part:05}-of-00003.gguf" for part in (1, 2, 3)))
    (other,) = made(tmp_path, "b-00001-of-00003.gguf")
    assert remove(tmp_path, parts[0]) == tuple(parts)
    assert [record.path for record in records(tmp_path)] == [other]


def test_a_repositorys_folder_goes_with_all_that_was_pulled(tmp_path: Path) -> None:
    made(tmp_path, "config.json", "1_Pooling/config.json", "model.safetensors")
    (tmp_path / REPO / "mine.txt").write_text("mine")
    assert len(remove(tmp_path, tmp_path / REPO)) == 3
    assert files_in(tmp_path / REPO) == ["mine.txt"]


def test_an_unfinished_download_is_known_and_removed(tmp_path: Path) -> None:
    path = tmp_path / REPO / "a.gguf"
    begun(path)
    beside(tmp_path / REPO / "other.gguf", PART).write_bytes(b"of other work: it has no note")
    assert partial(tmp_path) == (path,)
    assert remove(tmp_path, path) == (beside(path, PART), beside(path, NOTE))
    assert partial(tmp_path) == ()


def test_what_is_being_downloaded_is_not_removed(tmp_path: Path) -> None:
    (path,) = made(tmp_path, "a.gguf")
    lock = try_lock(beside(path, LOCK))
    assert lock is not None
    with pytest.raises(ModelMissing, match="llmchat is downloading it"):
        remove(tmp_path, path)
    lock.release()
    assert remove(tmp_path, path) == (path,)


def test_only_what_was_pulled_is_removed(tmp_path: Path) -> None:
    (path,) = made(tmp_path / "models", "a.gguf")
    mine = path.with_name("mine.gguf")
    for own in (mine, tmp_path / "models" / "mine.gguf", tmp_path / "mine.gguf"):
        own.write_bytes(b"GGUF")
        with pytest.raises(ModelMissing, match="llmchat did not pull it"):
            remove(tmp_path / "models", own)
        assert own.exists()
    for folder in (tmp_path / "models", tmp_path / "models" / "user", tmp_path):
        with pytest.raises(ModelMissing):
            remove(tmp_path / "models", folder)
    assert path.exists()


def test_a_link_in_a_pulled_files_place_goes_and_its_target_stays(tmp_path: Path) -> None:
    (path,) = made(tmp_path / "models", "a.gguf")
    path.unlink()
    (tmp_path / "mine").write_bytes(b"mine")
    path.symlink_to(tmp_path / "mine")
    assert remove(tmp_path / "models", path) == (path,)
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_nothing_is_removed_through_a_linked_folder(tmp_path: Path) -> None:
    (path,) = made(tmp_path / "elsewhere", "a.gguf")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "user").symlink_to(tmp_path / "elsewhere" / "user")
    with pytest.raises(ModelMissing):
        remove(tmp_path / "models", tmp_path / "models" / REPO / "a.gguf")
    assert path.exists()
