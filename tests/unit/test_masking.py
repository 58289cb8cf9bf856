"""Secrets are masked in every form, wherever pieces of text are cut, and nothing else is."""
import base64
import json
import re
from typing import Callable, List
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.masking import MASK, NO_SECRETS, Masker, is_secret_name

SECRET = "s3cr+t/Pässwörd & \"more\"\\"


@pytest.mark.parametrize("name", [
    "PASSWORD", "DB_PASSWORD", "db_passwd", "MY_SECRETS", "GITHUB_TOKEN", "AWS_CREDENTIALS", "KEY", "API_KEY",
    "api_key", "AWS_ACCESS_KEY_ID", "apiKey", "APIKey", "KEY2", "ssh-key"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["", "PATH", "KEYBOARD", "MONKEY", "MONKEY_ISLAND", "Keyboard", "TURKEYS", "PASS"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_the_value_itself_wherever_it_stands() -> None:
    masker = Masker(["hunter22"])
    assert masker.mask_text("hunter22 a hunter22b,hunter2") == "*** a ***b,hunter2"


@pytest.mark.parametrize("prefix", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("suffix", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("secret", ["hunter22", "s3cret?>~", SECRET, "\xff\xfe\xfd\xfc\xfb\xfa"])
def test_base64_at_every_alignment(prefix: str, suffix: str, secret: str) -> None:
    raw = (prefix + secret + suffix).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = Masker([secret]).mask_text("Basic %s." % encode(raw).decode())
        assert MASK in shown
        # At most the one character that the secret shares with its neighbour is left on either side.
        before, after = shown[len("Basic "):-1].split(MASK)
        assert len(before) * 6 < (len(prefix.encode()) + 1) * 8
        assert len(after.rstrip("=")) * 6 <= (len(suffix.encode()) + 2) * 8


def fully_quoted(text: str) -> str:
    return quote(text, safe="")


def quoted_in_lower_case(text: str) -> str:
    return re.sub("%..", lambda match: match.group().lower(), quote(text))


@pytest.mark.parametrize("encode", [quote, quote_plus, fully_quoted, quoted_in_lower_case])
def test_url_encoded(encode: Callable[[str], str]) -> None:
    assert Masker([SECRET]).mask_text("http://h/?p=%s&q=1" % encode(SECRET)) == "http://h/?p=***&q=1"


def test_short_values_are_left_out() -> None:
    masker = Masker(["12345", ""])
    assert not masker
    assert masker.mask_text("12345") == "12345"
    assert Masker(["123456"]).mask_text("a1234567") == "a***7"


def test_longest_first_and_overlapping_values_leave_nothing() -> None:
    assert Masker(["abcdef", "abcdefghi"]).mask_text("xabcdefghi") == "x***"
    assert Masker(["abcdef", "defghi"]).mask_text("xabcdefghiy") == "x***y"
    assert Masker(["abcabcabc"]).mask_text("abcabcabcabcabc-") == "***-"
    assert Masker(["abcdef"]).mask_text("abcdefabcdef") == "******"


def test_values_recursively_and_never_in_place() -> None:
    value = {"hunter22": ["hunter22", 7, None, True, 1.5, ("xhunter22",)], "b": {"c": "hunter22"}}
    before = json.dumps(value)
    assert Masker(["hunter22"]).mask_value(value) == {
        MASK: [MASK, 7, None, True, 1.5, ["x" + MASK]], "b": {"c": MASK}}
    assert json.dumps(value) == before


def test_a_value_that_json_escapes_is_masked_before_it_is_serialised() -> None:
    masked = Masker([SECRET]).mask_value({"command": "login " + SECRET})
    assert masked == {"command": "login ***"}


def test_without_secrets_everything_comes_back_as_it_is() -> None:
    value = {"a": ["b"]}
    assert NO_SECRETS.mask_value(value) is value
    assert NO_SECRETS.mask_text("text", start=2) == "xt"
    stream = NO_SECRETS.stream()
    assert stream.feed("pass") + stream.finish() == "pass"


@pytest.mark.parametrize("start,shown", [
    (0, "ab***cd"), (2, "***cd"), (3, "***cd"), (9, "***cd"), (10, "cd"), (11, "d")])
def test_a_cut_through_a_secret_shows_nothing_of_it(start: int, shown: str) -> None:
    assert Masker(["hunter22"]).mask_text("abhunter22cd", start=start) == shown


def test_a_stream_holds_back_only_what_may_become_a_secret() -> None:
    stream = Masker(["hunter22"]).stream()
    assert stream.feed("harmless\n") == "harmless\n"
    assert stream.feed("password hunt") == "password "
    assert stream.feed("er") == ""
    assert stream.feed("22 and hunter") == "*** and "
    assert stream.finish() == "hunter"


def test_a_stream_of_nothing_but_overlapping_secrets_keeps_little() -> None:
    stream = Masker(["aaaaaa"]).stream()
    shown = [stream.feed("aaaa") for _ in range(1000)]
    assert "".join(shown) + stream.finish() == MASK
    assert len(stream._pending) < 10


# An alphabet this small makes secrets overlap, contain and touch each other all the time.
_small = st.text(alphabet="ab", min_size=6, max_size=9)


@settings(max_examples=300, deadline=None)
@given(st.lists(_small, min_size=1, max_size=3), st.lists(st.text(alphabet="abc", max_size=12), max_size=12))
def test_cut_anywhere_a_stream_masks_what_the_whole_text_masks(secrets: List[str], pieces: List[str]) -> None:
    masker = Masker(secrets)
    stream = masker.stream()
    shown = "".join([stream.feed(piece) for piece in pieces] + [stream.finish()])
    assert shown == masker.mask_text("".join(pieces))


@settings(max_examples=300, deadline=None)
@given(st.lists(_small, min_size=1, max_size=3), st.text(alphabet="abc", max_size=40))
def test_every_character_of_every_secret_and_no_other_is_masked(secrets: List[str], text: str) -> None:
    masker = Masker(secrets)
    covered = [False] * len(text)
    for form in masker.forms:
        for position in range(len(text)):
            if text.startswith(form, position):
                covered[position:position + len(form)] = [True] * len(form)
    left = "".join(character for character, hidden in zip(text, covered) if not hidden)
    assert masker.mask_text(text).replace(MASK, "") == left


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.text(min_size=6, max_size=12), st.text(max_size=8), st.text(max_size=8))
def test_json_that_holds_a_secret_is_always_noticed(secret: str, before: str, after: str) -> None:
    masker = Masker([secret])
    assert masker.may_stand_in(json.dumps({"context": [before + secret + after]}, ensure_ascii=False))
    assert not masker.may_stand_in("{}")
