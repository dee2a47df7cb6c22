"""What becomes of stdin, files and arguments: order, limits, and what is not text."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui.errors import InputError, UsageError, UserError
from llmchat_tui.inputs import Limits, as_text, build_question, decode, read_text


class Told:
    """Takes warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def __call__(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


def question(*words: str, files: tuple[str, ...] = (), stdin: bytes | None = None, told: Told | None = None) -> str:
    stream = None if stdin is None else io.BytesIO(stdin)
    return build_question(words, files, stream, Limits(1), told or Told())


@pytest.mark.parametrize(
    ("words", "stdin", "result"),
    [
        (("Where", "is it?"), None, "Where is it?"),
        (("Where?",), b"The tower is in Paris.\n", "The tower is in Paris.\n\nWhere?"),
        (("Where?",), b"", "Where?"),
        (("Where?",), b" \n\n", "Where?"),
        ((), b"Where?\n\n", "Where?"),
        (("a", "-", "b"), b"middle\n", "a middle b"),
        (("-", "b"), b"x\ny\n", "x\ny b"),
        (("-", "-"), b"x\n", "x x"),
        (("-", "b"), b"", " b"),
        (("--", "-x"), None, "-- -x"),
    ],
)
def test_stdin_comes_first_and_a_dash_places_it(words: tuple[str, ...], stdin: bytes | None, result: str) -> None:
    assert question(*words, stdin=stdin) == result


@pytest.mark.parametrize("stdin", [None, b"", b"\n \n"])
@pytest.mark.parametrize("words", [(), ("",), (" ", "\n")])
def test_no_question_at_all(words: tuple[str, ...], stdin: bytes | None) -> None:
    with pytest.raises(UsageError, match="there is no question") as caught:
        question(*words, stdin=stdin)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("words", "files"), [(("-",), ()), (("hi",), ("-",))])
def test_a_dash_with_nothing_piped_in(words: tuple[str, ...], files: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="nothing is piped in"):
        question(*words, files=files)


def test_files_come_before_stdin_before_the_words(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"text of {name}\n\n")
    first, second = str(tmp_path / "b.txt"), str(tmp_path / "a.txt")
    assert question("Why?", files=(first, "-", second), stdin=b"piped\n") == (
        f"--- {first} ---\ntext of b.txt\n\n--- {second} ---\ntext of a.txt\n\npiped\n\nWhy?"
    )


def test_a_directory_is_walked_in_order_without_hidden_files_and_links(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b.md", "a.md", "z/c.md", ".hidden", ".git/config"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    asked = question("Why?", files=(str(tmp_path),))
    assert [line.rpartition("/")[2] for line in asked.splitlines() if line.startswith("---")] == [
        "a.md ---", "b.md ---", "c.md ---",
    ]  # fmt: skip


def test_a_glob(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.md", "a.md", "c.txt", "deep/er/d.md"):
        (tmp_path / name).write_text(f"<{name}>")
    assert "<a.md>" in question("?", files=(f"{tmp_path}/*.md",))
    assert "<c.txt>" not in question("?", files=(f"{tmp_path}/*.md",))
    assert "<deep/er/d.md>" in question("?", files=(f"{tmp_path}/**/*.md",))
    (tmp_path / "[x].md").write_text("brackets")
    assert "brackets" in question("?", files=(f"{tmp_path}/[x].md",))


@pytest.mark.parametrize("name", ["missing.txt", "*.nothing", "", "a/b/c", "x" * 5000])
def test_a_file_that_is_not_there(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no file"):
        question("?", files=(name,))


def test_a_link_to_nowhere_and_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("nowhere", "loop"):
        with pytest.raises(UsageError, match="cannot be read"):
            question("?", files=(str(tmp_path / name),))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path, told: Told) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0)
    with pytest.raises(UsageError, match="Permission denied"):
        question("?", files=(str(secret),))
    assert question("?", files=(str(tmp_path),), told=told) == "?"
    assert len(told.warnings) == 1


def test_what_is_no_file_is_refused_at_once(tmp_path: Path, told: Told) -> None:
    """A FIFO would wait for a writer, and a device never ends."""
    os.mkfifo(tmp_path / "fifo")
    for name in (str(tmp_path / "fifo"), "/dev/zero"):
        with pytest.raises(InputError, match="is not a file") as caught:
            question("?", files=(name,))
        assert caught.value.exit_code == 9
    assert question("?", files=(str(tmp_path),), told=told) == "?"
    assert "left out" in told.warnings[0]


def test_a_binary_file_is_refused_and_in_a_directory_left_out(tmp_path: Path, told: Told) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\x00\x10")
    (tmp_path / "note.md").write_text("text")
    with pytest.raises(InputError, match="looks binary"):
        question("?", files=(str(tmp_path / "photo.jpg"),))
    asked = question("?", files=(str(tmp_path),), told=told)
    assert "note.md" in asked
    assert "photo" not in asked
    assert told.warnings == [f"left out {tmp_path / 'photo.jpg'}: it has a NUL byte in its first 8 KiB"]


def test_the_limit_is_for_all_files_together(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * (1 << 19))
    (tmp_path / "b").write_bytes(b"b" * (1 << 19))
    assert len(question("?", files=(str(tmp_path),))) > 1 << 20
    (tmp_path / "c").write_bytes(b"c")
    with pytest.raises(InputError, match="more than 1 MiB") as caught:
        question("?", files=(str(tmp_path),))
    assert "stdin_limit_mib 4" in caught.value.hint


def test_stdin_is_read_up_to_the_limit_and_one_byte(told: Told) -> None:
    stream = io.BytesIO(b"x" * ((1 << 20) + 5))
    with pytest.raises(InputError, match="stdin is too large"):
        build_question(("?",), (), stream, Limits(1), told)
    assert stream.tell() == (1 << 20) + 1
    assert len(question("?", stdin=b"x" * (1 << 20))) == (1 << 20) + 3


def test_a_name_that_is_no_utf8_is_shown_with_a_sign(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    Path(name).write_text("crème")
    assert question("?", files=(name,)) == f"--- {tmp_path}/caf\ufffd.txt ---\ncrème\n\n?"


@pytest.mark.parametrize(
    ("data", "text", "warnings"),
    [
        (b"plain", "plain", 0),
        (b"\xef\xbb\xbfplain", "plain", 0),
        ("crème".encode("latin-1"), "cr\ufffdme", 1),
        ("\ufffd is a sign".encode(), "\ufffd is a sign", 0),
        ("\ufffd and ".encode() + b"\xff", "\ufffd and \ufffd", 1),
        ("crème".encode("utf-16"), "crème", 0),
        ("\ufeffcrème".encode("utf-16-be"), "crème", 0),
        (b"\xff\xfea", "\ufffd", 0),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd", 1),
        (b"x" * 9000 + b"\0", "x" * 9000 + "\ufffd", 1),
        (b"", "", 0),
    ],
)
def test_decoding(data: bytes, text: str, warnings: int, told: Told) -> None:
    assert decode(data, "stdin", told) == text
    assert len(told.warnings) == warnings


def test_the_warning_counts(told: Told) -> None:
    decode(b"\xe9\xe8 ok \xff", "notes.txt", told)
    assert told.warnings == ["notes.txt is not UTF-8 text everywhere: 3 characters were replaced"]


@pytest.mark.parametrize("data", [b"\0", b"PK\x03\x04\0\0", b"x" * 8191 + b"\0"])
def test_a_nul_byte_at_the_beginning_is_binary(data: bytes, told: Told) -> None:
    with pytest.raises(InputError, match="looks binary"):
        decode(data, "stdin", told)


def test_arguments_are_text() -> None:
    assert as_text("caf\udce9 ok") == "caf\ufffd ok"
    assert question("caf\udce9") == "caf\ufffd"


def test_one_file_is_read_whole_or_not(tmp_path: Path, told: Told) -> None:
    file = tmp_path / "system.txt"
    file.write_bytes(b"Be brief.\n")
    assert read_text(file, Limits(1), told) == "Be brief.\n"
    file.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="too large"):
        read_text(file, Limits(1), told)
    with pytest.raises(InputError, match="is not a file"):
        read_text(Path("/dev/zero"), Limits(1), told)


@given(
    st.binary(max_size=300),
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_whatever_comes_in_is_text_or_a_user_error(data: bytes, words: list[str]) -> None:
    try:
        asked = question(*words, stdin=data)
    except UserError:
        return
    asked.encode()
    assert "\0" not in asked
