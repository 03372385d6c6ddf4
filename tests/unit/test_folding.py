"""One spelling for the same letters, and keys that sort titles."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.folding import TITLE_KEY_BYTES, fold, split_words, title_key, trim

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("ＫＴ－１２３", "kt-123"),
        ("Straße STRASSE", "strasse strasse"),
        ("Łódź Ørsted Æsir Œuvre Đà Nẵng", "lodz orsted aesir oeuvre da nang"),
        ("İstanbul ISPARTA kılıf", "istanbul isparta kilif"),
        ("ΣΟΦΟΣ σοφός", "σοφοσ σοφοσ"),
        ("Ёлка Йод", "елка йод"),
        ("ガム カム が か", "ガム カム が か"),
        ("ｶﾞﾑ", "ガム"),
        ("٣٤ ۳۴ ३४", "34 34 34"),
        ("كِتاب", "كتاب"),
        ("“Levi’s” – 5″", "\"levi's\" - 5''"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("tab\tnbsp\u00a0wide\u3000", "tab nbsp wide "),
        ("ﬁ ² ½ ™", "fi 2 1/2 tm"),
    ],
)
def test_letters_that_people_take_for_the_same_are_folded_to_one(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(TEXTS)
def test_folding_is_the_same_for_every_form_of_a_text_and_for_what_is_folded(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert fold(unicodedata.normalize(form, text)) == fold(text)
    assert fold(fold(text)) == fold(text)


def test_a_syllable_of_hangul_begins_with_those_typed_before_it() -> None:
    assert fold("한국").startswith(fold("하"))
    assert fold("한국").startswith(fold("한"))


def test_words_are_runs_of_letters_marks_and_digits() -> None:
    assert split_words(fold("KT-INS114_(हिन्दी) 日本語、本")) == ["kt", "ins114", "हिन्दी", "日本語", "本"]
    assert trim("(c++)") == "c"
    assert trim("'kt-1'") == "kt-1"
    assert trim("!?") == ""


@pytest.mark.parametrize(
    "titles",
    [
        ["apple", "Äpfel", "Zebra"],
        ["apfel", "Apfel", "apfel b", "äpfel", "Äpfel", "äpfel b"],
        ["Size 2", "Size 9", "Size 10", "Size 010 b", "Size 100"],
        ["0.5 l", "0.75 l", "1,25 l", "1,5 l", "2 l", "12 l"],
        ["9" * 8, "1" + "0" * 8, "1" + "0" * 9, "1" + "0" * 17, "1" + "0" * 18],
        ["resume", "Resume", "résumé", "resumes"],
        ["office", "Østerbro", "Œuvre", "Zoë"],
        ["ель", "ёлка", "ирис", "йод"],
        ["Zebra", "αβγ", "ирис", "日本"],
        ["tea", "tea time", "tea-time", "teapot"],
    ],
)
def test_titles_come_in_the_order_that_people_expect(titles: list[str]) -> None:
    assert sorted(titles, key=title_key) == titles


@given(TEXTS)
def test_a_key_fits_an_index_and_text_of_postgresql(title: str) -> None:
    for text in (title, title * 50, "ﷺ" * 300):
        key = title_key(text).encode()
        assert len(key) <= sum(TITLE_KEY_BYTES) + 3
        assert b"\0" not in key


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_whole_numbers_are_in_the_order_of_their_values(one: int, other: int) -> None:
    assert (title_key(f"Box {one}") < title_key(f"Box {other}")) is (one < other)
