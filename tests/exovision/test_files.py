"""Files that appear whole or not at all, and one error of ours whatever happens to their folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exovision.errors import OutputError
from exovision.files import replacing


def test_a_folder_that_becomes_a_file_meanwhile_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(OutputError, match="must be writable"), replacing(folder / "a.csv") as temporary:
        shutil.rmtree(folder)
        folder.write_text("in the way")
        temporary.write_text("a table")
