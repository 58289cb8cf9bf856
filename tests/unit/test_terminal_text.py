"""What a terminal gets to see."""
import pytest

from jobs.terminal_text import safe_text


@pytest.mark.parametrize("text,shown", [
    ("plain Ünïcode 漢字 👍\n\tend", "plain Ünïcode 漢字 👍\n\tend"),
    ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("a\rb\x00\x7f", "a\\x0db\\x00\\x7f"),
    ("\x9b31m\x80\x9f", "\\x9b31m\\x80\\x9f"),
    ("\u202egpj.exe\u2066\u2069\u200f\u061c", "\\u202egpj.exe\\u2066\\u2069\\u200f\\u061c"),
    ("", ""),
])
def test_controls_are_shown_and_not_sent(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_no_control_is_forgotten() -> None:
    for code in list(range(0x20)) + list(range(0x7f, 0xa0)) + list(range(0x202a, 0x202f)) + list(range(0x2066, 0x206a)):
        text = chr(code)
        assert safe_text(text).isprintable() or text in "\n\t"
        assert (safe_text(text) == text) == (text in "\n\t")
