"""JSON files of a home: bounded, never waiting, and quoted in no message."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from invariants import documents
from invariants.documents import Unreadable, read_object
from tests.vm import UNPRIVILEGED


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def why(path: Path) -> str:
    with pytest.raises(Unreadable) as raised:
        read_object(str(path))
    return str(raised.value)


def test_object_is_returned_and_a_missing_file_is_none(file: Path) -> None:
    assert read_object(str(file)) is None
    assert read_object(str(file / "below")) is None
    file.write_text('{"a": [1]}')

    assert {"a": [1]} == read_object(str(file))


def test_byte_order_mark_and_wrong_utf_8_are_nothing(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"a": "\xff"}')

    assert {"a": "\ufffd"} == read_object(str(file))


def test_symlink_is_followed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("{}")
    file.symlink_to("real")

    assert {} == read_object(str(file))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON (line 1, column 1)"),
        (b'{\n "secret": tru}', "is not JSON (line 2, column 12)"),
        (b'["secret"]', "holds no JSON object"),
        (b"[" * 200_000, "is JSON that cannot be taken in"),
        (b'{"secret": ' + b"1" * 5000 + b"}", "is JSON that cannot be taken in"),
    ],
)
def test_what_is_no_object_is_told_without_what_it_holds(
    file: Path, content: bytes, words: str
) -> None:
    file.write_bytes(content)

    assert f"settings.json {words}" == why(file)


def test_nothing_but_a_file_is_read_and_nothing_waits(file: Path) -> None:
    file.symlink_to("nowhere")
    assert "settings.json is a symlink that leads nowhere" == why(file)
    file.unlink()
    file.symlink_to(file.name)
    assert "settings.json is unreadable: Too many levels of symbolic links" == why(file)
    file.unlink()
    os.mkfifo(file)
    assert "settings.json is a named pipe" == why(file)
    file.unlink()
    file.mkdir()
    assert "settings.json is a directory" == why(file)
    file.rmdir()
    file.symlink_to("/dev/zero")
    assert "settings.json is a character device" == why(file)
    file.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(file))
        assert "settings.json is unreadable: No such device or address" == why(file)


def test_file_that_is_too_large_is_not_read(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(documents.MAX_BYTES + 1)

    size = f"{documents.MAX_BYTES + 1} bytes, at most {documents.MAX_BYTES} are read"
    assert f"settings.json is too large: {size}" == why(file)


@pytest.mark.skipif(os.geteuid() == 0 and not UNPRIVILEGED, reason="root reads everything")
def test_file_of_another_users_is_unreadable(file: Path) -> None:
    import subprocess
    import sys

    file.write_text("{}")
    file.chmod(0)
    program = "import sys; from invariants.documents import *; read_object(sys.argv[1])"
    done = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-c", program, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(documents.__file__).parents[1],
    )

    assert "Unreadable: settings.json is unreadable: Permission denied" in done.stderr


def test_file_that_is_written_to_meanwhile_is_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('{"a": 1')
    whole = documents._content
    calls = []

    def torn(*arguments: object) -> str:
        text = whole(*arguments)  # type: ignore[arg-type]  # passed through
        calls.append(text)
        if len(calls) == 1:
            file.write_text('{"a": 12}')
        return text

    monkeypatch.setattr(documents, "_content", torn)
    assert {"a": 12} == read_object(str(file))
    assert ['{"a": 1', '{"a": 12}'] == calls


def test_file_that_never_rests_is_given_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("{}")
    whole = documents._content

    def growing(*arguments: object) -> str:
        text = whole(*arguments)  # type: ignore[arg-type]  # passed through
        with file.open("a") as more:
            more.write(" ")
        return text

    monkeypatch.setattr(documents, "_content", growing)
    assert "settings.json keeps changing while it is read" == why(file)
