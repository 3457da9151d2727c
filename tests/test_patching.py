"""The patches that tests make notice when they no longer take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.patching import patch


def test_patch_is_made_wherever_its_text_is(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("a = 1\nb = 1\n")
    patch(file, "= 1", "= 2")
    assert "a = 2\nb = 2\n" == file.read_text()


def test_patch_whose_text_is_gone_is_told(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("a = 1\n")
    with pytest.raises(AssertionError, match="the patch must be made anew"):
        patch(file, "b = 1", "b = 2")
    assert "a = 1\n" == file.read_text()
