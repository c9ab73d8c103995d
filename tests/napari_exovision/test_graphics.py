"""Two copies of LLVM never meet."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from napari_exovision.graphics import keep_triton_out


@pytest.mark.parametrize(
    ("text", "kept_out"), [("7f /usr/lib/libLLVM-15.so.1", True), ("7f libc.so.6", False)]
)
def test_triton_is_kept_out_where_the_driver_brought_llvm(
    text: str, kept_out: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    (tmp_path / "maps").write_text(text)
    assert keep_triton_out(tmp_path / "maps") is kept_out
    assert ("triton" in sys.modules) is kept_out
    sys.modules.pop("triton", None)


def test_where_linux_keeps_no_list_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    assert keep_triton_out(tmp_path / "none") is False
