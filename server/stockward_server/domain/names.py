"""Normalises and validates SKUs and handles in any script."""

from __future__ import annotations

import re
import unicodedata

MAX_SKU, MAX_SKU_BYTES = 64, 128
"""Maximum characters of a SKU, and bytes in UTF-8. Its token in a NATS subject has at most three times as many."""

MAX_HANDLE = 200
"""Maximum characters of a handle."""

_SUFFIX_ROOM = 10
_WITHOUT_DECOMPOSITION = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "'": "", "’": ""}
)

_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible format character",
    "Cs": "half of a character",
    "Co": "a private-use character",
    "Cn": "not assigned to a character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Zs": "a blank other than the space",
}
"""Unicode general categories that a SKU may not contain."""

# Letters, marks and symbols that are invisible (Default_Ignorable_Code_Point, and the empty braille pattern): with them
# two different SKUs could look the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def normal_name(text: str) -> str:
    """Returns a SKU or handle in Unicode's normal form C: composed letters where they exist."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def sku_fault(sku: str) -> str | None:
    """Returns why a normalised, non-empty text is not a valid SKU, in words; None when it is.

    A SKU is 1 to 64 characters, at most 128 bytes in UTF-8, that can be seen: letters, marks, digits, punctuation and
    symbols of any script, and spaces between them.
    """
    if len(sku) > MAX_SKU:
        return f"has {len(sku)} characters; {MAX_SKU} are allowed"
    if not (sku.isascii() and sku.isprintable()):
        for position, character in enumerate(sku, start=1):
            if fault := _fault_in_sku(character):
                return f"has {_named(character)} at position {position}, {fault}"
        if (size := len(sku.encode())) > MAX_SKU_BYTES:
            return f"has {size} bytes in UTF-8; {MAX_SKU_BYTES} are allowed"
    if sku[0] == " " or sku[-1] == " ":
        return "begins or ends with a space"
    return None


def handle_fault(handle: str) -> str | None:
    """Returns why a normalised, non-empty text is not a valid handle, in words; None when it is.

    A handle is words of lower-case letters and digits of any script with a single hyphen between them, up to 200
    characters. Compatibility forms, such as full-width letters, are not allowed: they look like the plain ones.
    """
    if len(handle) > MAX_HANDLE:
        return f"has {len(handle)} characters; {MAX_HANDLE} are allowed"
    for position, (before, character) in enumerate(zip("-" + handle, handle, strict=False), start=1):
        if fault := _fault_in_handle(character, before):
            return f"has {_named(character)} at position {position}, {fault}"
    return "ends with a hyphen" if handle[-1] == "-" else None


def handle_from(title: str) -> str:
    """Returns a handle from the title's words, short enough to append a number; `product` when it has no words.

    Latin letters lose their accents; other scripts stay as they are.
    """
    letters = unicodedata.normalize("NFKD", title).casefold().lower().translate(_WITHOUT_DECOMPOSITION)
    kept: list[str] = []
    latin = False
    for letter in unicodedata.normalize("NFKD", letters):
        if not unicodedata.combining(letter):
            latin = letter.isascii()
        elif latin:
            continue
        kept.append(letter)
    words, before = [""], "-"
    for letter in normal_name("".join(kept)):
        if letter == "-" or _fault_in_handle(letter, before):
            words.append("")
        else:
            words[-1] += letter
        before = words[-1][-1:] or "-"
    return "-".join(filter(None, words))[: MAX_HANDLE - _SUFFIX_ROOM].rstrip("-") or "product"


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def _fault_in_sku(character: str) -> str | None:
    if character == " ":
        return None
    return "which cannot be seen" if _INVISIBLE.match(character) else _CATEGORIES.get(unicodedata.category(character))


def _fault_in_handle(character: str, before: str) -> str | None:
    """Returns what is wrong with a character of a handle after the character `before`; at the beginning that is a
    hyphen."""
    if character == "-":
        return "which has no word before it" if before == "-" else None
    if character.isascii() and (character.islower() or character.isdigit()):
        return None
    category = unicodedata.category(character)
    if category in ("Lu", "Lt"):
        return "which is not a lower-case letter"
    if not (category[0] in "LM" or category == "Nd") or _INVISIBLE.match(character):
        return "which is not a lower-case letter, a digit or a hyphen"
    if category[0] == "M" and before == "-":
        return "a mark without a letter before it"
    if (plain := unicodedata.normalize("NFKC", character)) != character:
        return f"for which “{plain}” is written"
    return None
