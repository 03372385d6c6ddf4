"""Folds text for searching, and makes the sort keys of titles.

Unicode's tables decide, never a locale: the result is the same on every server and database.
"""

from __future__ import annotations

import re
import unicodedata

TITLE_KEY_BYTES = (50, 1200, 600, 600)
"""Maximum UTF-8 bytes of each level of a title's key: an entry of a btree index must stay below 2,700."""

_LEVEL_END = "\x01"
"""Sorts before every character of a level, so that a title comes before longer titles that begin with it."""

_SAME = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ŧ": "t",
    "ı": "i",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ک": "ك",
    "ی": "ي",
    "ى": "ي",
    "ة": "ه",
    "ـ": "",
    "‘": "'",
    "’": "'",
    "ʼ": "'",
    "′": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "\u2212": "-",
    "\u2044": "/",  # minus and fraction signs
}
"""Letters and signs that Unicode does not decompose and that readers regard as equal."""

_OWN_LETTERS = "й"
"""A letter of its alphabet that looks like another letter with a mark."""

_MARK = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff]"
)
"""Accents and the vowel signs of Hebrew and Arabic. Signs of other scripts are letters: `か` is not `が`."""

_VARIATION = re.compile("[\ufe00-\ufe0f\u20d0-\u20ff]")

_NUMBER = re.compile(r"(?<![0-9])(?<![0-9][.,])[0-9]+")
"""A whole number. Digits after a decimal point are compared one by one."""


_PLAIN_WORD = re.compile("[0-9A-Za-z]+")


class _Folds(dict[int, str]):
    """Maps each code point to its folded text, for `str.translate`."""

    def __missing__(self, point: int) -> str:
        self[point] = _folded(chr(point))
        return self[point]


class _Words(dict[int, str]):
    """Keeps letters, marks and digits and maps everything else to a blank, for `str.translate`."""

    def __missing__(self, point: int) -> str:
        letter = chr(point)
        self[point] = letter if unicodedata.category(letter)[0] in "LMN" else " "
        return self[point]


_folds, _words = _Folds(), _Words()


def fold(text: str) -> str:
    """Returns `text` without accents, in one case, one form and one width (NFKC), digits as 0 to 9.

    Hangul is decomposed, so that a syllable begins with the letters typed so far. Control characters become blanks.
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    return unicodedata.normalize("NFKC", text).translate(_folds)


def split_words(folded: str) -> list[str]:
    """Returns the runs of letters, marks and digits of a folded text."""
    if folded.isascii():
        return _PLAIN_WORD.findall(folded)
    return folded.translate(_words).split()


def trim(folded: str) -> str:
    """Returns a folded text without leading and trailing characters that are no letter, mark or digit."""
    if folded.isalnum():
        return folded
    words = folded.translate(_words)
    end = len(words.rstrip())
    return folded[len(words) - len(words.lstrip()) : end]


def title_key(title: str) -> str:
    """Returns the sort key of a title, compared byte by byte in UTF-8.

    Titles are grouped by their first letter (a, ä, b …). Within a group letters decide first, then accents, then case
    (small before capital). Whole numbers compare by value: 9 is before 10. Scripts come in the order of their code
    points.
    """
    plain = unicodedata.normalize("NFC", " ".join(title.replace("\0", "").split()))
    folded = " ".join(fold(plain).split())
    levels = (_initial(plain), _NUMBER.sub(_by_value, folded), plain.casefold(), plain.swapcase())
    return _LEVEL_END.join(cut(level, size) for level, size in zip(levels, TITLE_KEY_BYTES, strict=True))


def _initial(text: str) -> str:
    """Returns the first letter: without its accent, then with it if it has one. All digits count as one letter."""
    first = unicodedata.normalize("NFKC", text[:1]).casefold()
    folded = fold(first)
    if folded[:1].isdecimal():
        return "0"
    return folded if folded == first else folded + _LEVEL_END + first


def cut(text: str, size: int) -> str:
    """Returns the longest prefix of at most `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _by_value(number: re.Match[str]) -> str:
    """Returns the digits after their count, so that numbers sort by value; the count takes a 9 for every nine
    digits."""
    digits = number[0].lstrip("0") or "0"
    nines, rest = divmod(len(digits), 9)
    return f"{'9' * nines}{rest}{digits}"


def _folded(letter: str) -> str:
    if letter in _SAME:
        return _SAME[letter]
    category = unicodedata.category(letter)
    if category in ("Cf", "Cs") or _VARIATION.match(letter):
        return ""
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(letter))
    small = letter.casefold()
    if small in _OWN_LETTERS:
        return small
    if "\uac00" <= letter <= "\ud7a3":
        return unicodedata.normalize("NFD", letter)
    parts = "".join(_SAME.get(part, part) for part in unicodedata.normalize("NFKD", small) if not _MARK.match(part))
    return unicodedata.normalize("NFC", parts)
