"""Paths as texts of the history, and back."""
import os

import pytest

from db.paths import path_of, path_text


@pytest.mark.parametrize("path", [b"", b"/home/a", "/home/j\u00fcrgen".encode("utf-8"), b"/no-utf8/\xff\xe4", b"/a\\b"])
def test_a_path_comes_back(path: bytes) -> None:
    assert os.fsencode(path_of(path_text(os.fsdecode(path)))) == path


def test_the_text_is_utf8_whatever_the_locale() -> None:
    assert path_text(os.fsdecode("/home/j\u00fcrgen".encode("utf-8"))) == "/home/j\u00fcrgen"
    assert path_text(os.fsdecode(b"/\xff")) == "/\\udcff"
