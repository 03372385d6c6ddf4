"""The searchable text of products, and the syntax of queries.

A product is found by its words in their English forms (PostgreSQL's text search, as `words`), and by any part of its
names: title, SKUs, barcodes, vendor, type, tags, handle, variants (as `marks` and `parts`). Both sides are folded
first, see `folding`.

Marks are keys of three kinds. The first character distinguishes them; no word begins with one:

    =kettle pot   the whole title, SKU, barcode or handle
    ^kettle       a word of the title
    ~ket          three characters in a row; fewer at the end of a part
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import chain, pairwise

from stockward_server.domain.folding import cut, fold, split_words, title_key, trim
from stockward_server.domain.product import Product

DESCRIPTION_CHARACTERS = 50_000
"""Characters of a description that are indexed. These limits keep a search vector below its 1 MiB."""

NAME_BYTES = 100_000
"""UTF-8 bytes of a product's names, besides its title, that are indexed: enough for 2,048 usual SKUs."""

MARK_BYTES = 250_000
"""Maximum bytes of the marks of a product."""

PART = 3
"""Characters of a mark for a part."""

SHORT = 8
"""Up to this length a text is searched for by all of its marks: fewer marks would match too much."""

MAX_KEY_BYTES = 2_000
"""Maximum UTF-8 bytes of a key; PostgreSQL's limit is 2,046."""

QUERY_CHARACTERS = 500
"""Characters of a folded query that are used."""

BETWEEN_NAMES = " ø "
"""A word that no folded text contains: it keeps phrases from matching across names."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Scripts without blanks between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese."""

_LETTERS = re.compile("[a-z]+")
_LETTERS_OR_END = re.compile("[a-z]+|ø")

_OF_ONE_LETTER = re.compile("[aeiou]ing(ly)?|[aiou]edly|[aou]ed")
"""Words whose English form is a single letter."""

_MARKUP = re.compile(r"<[/!?a-z][^>]*>|&#?[0-9a-z]{1,31};", re.IGNORECASE)

_TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')

STOP_WORDS = frozenset(
    "i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her "  # noqa: SIM905
    "hers herself it its itself they them their theirs themselves what which who whom this that these "
    "those am is are was were be been being have has had having do does did doing a an the and but if or "
    "because as until while of at by for with about against between into through during before after "
    "above below to from up down in out on off over under again further then once here there when where "
    "why how all any both each few more most other some such no nor not only own same so than too very s "
    "t can will just don should now".split()
)
"""Stop words of PostgreSQL's `english`, ignored in a query that has other words."""


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """The searchable text of a product, and its sort key in lists by title."""

    title_words: str
    name_words: str
    description_words: str
    marks: Sequence[str]
    parts: str
    """Text in which parts are searched for; a blank separates unrelated texts."""
    title_key: str
    pairs: Set[str]
    """Pairs of adjacent words, by their beginnings, see `word_pairs`."""


def searched(product: Product) -> object:
    """Returns the fields that determine the search document of a product: equal fields mean equal documents."""
    variants = [(each.sku, each.barcode, each.title, each.options) for each in product.variants]
    names = (product.title, product.handle, product.vendor, product.product_type, product.tags)
    return names, product.description, variants


def search_document(product: Product) -> SearchDocument:
    """Returns the search document of a product, cut at the limits above."""
    title = fold(product.title)
    names = _names(product)
    description = fold(_MARKUP.sub(" ", product.description[:DESCRIPTION_CHARACTERS]))[:DESCRIPTION_CHARACTERS]
    parts = list(_parts((title, *names, " ".join(_UNSPACED.findall(description)))))
    exact = list(_exact_marks(product))
    return SearchDocument(
        title_words=" ".join(split_words(title)),
        name_words=BETWEEN_NAMES.join(" ".join(split_words(name)) for name in names),
        description_words=" ".join(split_words(description)),
        marks=_limited(
            chain(
                exact,
                ("^" + cut(word, MAX_KEY_BYTES) for word in split_words(title)),
                _part_marks(parts),
            ),
            MARK_BYTES,
        ),
        parts=" ".join(parts),
        title_key=title_key(product.title),
        pairs=word_pairs(*dict.fromkeys((*(mark[1:] for mark in exact), *names, description))),
    )


def word_pairs(*texts: str) -> Set[str]:
    """Returns the beginnings of each two adjacent English words of a folded text.

    Words with the same English form have the same beginning: that of `red shirts` is `resh`, too.
    """
    beginnings = map(_beginning, _LETTERS_OR_END.findall(BETWEEN_NAMES.join(texts)))
    return {first + second for first, second in pairwise(beginnings) if first != "ø" != second}


@lru_cache(maxsize=8192)
def _beginning(word: str) -> str:
    """Returns the first two letters of a word, or one if its English form has only one. `dying` is a form of `die`."""
    return word[: 1 if _OF_ONE_LETTER.fullmatch(word) else 2].replace("y", "i")


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a quoted phrase of a query, folded."""

    text: str
    """The text searched for as a part; empty where only its words count, as in a phrase."""
    words: Sequence[str]
    negative: bool = False

    @property
    def is_unspaced(self) -> bool:
        """Whether it is in a script without blanks between words."""
        return bool(_UNSPACED.search(self.text))

    @property
    def is_stop_word(self) -> bool:
        return STOP_WORDS.issuperset(self.words)

    @property
    def marks(self) -> Sequence[str]:
        """Marks of three characters that cover the text, all of them for a short text; one shorter mark for a text of
        one or two characters."""
        last = max(0, len(self.text) - PART)
        step = 1 if len(self.text) <= SHORT else PART
        starts = dict.fromkeys((*range(0, last, step), last)) if self.text else ()
        return ["~" + self.text[at : at + PART] for at in starts]

    @property
    def pairs(self) -> Sequence[str]:
        """Pairs of words that every product with this phrase has. A word that PostgreSQL ignores may stand for any
        other."""
        if self.text:
            return []
        words = (word if _LETTERS.fullmatch(word) and word not in STOP_WORDS else "" for word in self.words)
        return [pair for two in pairwise(words) if all(two) for pair in word_pairs(" ".join(two))]

    @property
    def is_exact(self) -> bool:
        """Whether every product with these marks contains the text."""
        return len(self.text) <= PART


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A parsed query: matches a product with this exact name, or products that match all terms of one alternative."""

    exact: str
    alternatives: Sequence[Sequence[Term]]


def search_query(text: str) -> SearchQuery:
    """Parses a query as web search engines do: words, "quoted phrases", `or` between terms, `-without`."""
    folded = fold(text)[:QUERY_CHARACTERS]
    alternatives: list[list[Term]] = [[]]
    for minus, phrase, word in _TERM.findall(folded):
        if word == "or" and not minus and alternatives[-1]:
            alternatives.append([])
        elif words := split_words(phrase or word):
            chunk = trim(phrase or word)
            alternatives[-1].append(Term("" if " " in chunk else chunk, words, bool(minus)))
    groups = [_without_stop_words(terms) for terms in alternatives if terms]
    if not groups and "or" in folded.split():
        groups = [[Term("or", ["or"])]]
    return SearchQuery(_exact_mark(folded.replace('"', " ")), groups)


class Rank(IntEnum):
    """How well a product matches a query, best first."""

    EXACT = 0
    """Its title, handle, a SKU or a barcode equals the query."""
    TITLE = 1
    """All words of the query begin a word of its title."""
    ELSEWHERE = 2


def rank(product: Product, query: SearchQuery) -> Rank:
    """Returns the rank of a product that matches the query."""
    if query.exact in _exact_marks(product):
        return Rank.EXACT
    words = split_words(fold(product.title))
    for terms in query.alternatives:
        wanted = [word for term in terms if not term.negative for word in term.words]
        if wanted and all(any(word.startswith(start) for word in words) for start in wanted):
            return Rank.TITLE
    return Rank.ELSEWHERE


def _without_stop_words(terms: Sequence[Term]) -> Sequence[Term]:
    significant = [term for term in terms if not term.is_stop_word]
    return significant if any(not term.negative for term in significant) else terms


def _exact_marks(product: Product) -> Iterator[str]:
    codes = chain.from_iterable((variant.sku, variant.barcode) for variant in product.variants)
    return (_exact_mark(fold(name)) for name in (product.title, product.handle, *codes) if name)


def _exact_mark(folded: str) -> str:
    return "=" + cut(" ".join(folded.replace('"', " ").split()), MAX_KEY_BYTES)


def _names(product: Product) -> list[str]:
    """Returns the names of a product besides its title, folded: the most significant first, each once."""
    names = chain(
        (product.handle,),
        (variant.sku for variant in product.variants),
        (variant.barcode for variant in product.variants),
        (product.vendor, product.product_type, *product.tags),
        (variant.title for variant in product.variants),
        chain.from_iterable(variant.options.values() for variant in product.variants),
    )
    return _limited((fold(name) for name in names if name), NAME_BYTES)


def _parts(texts: Iterable[str]) -> Iterator[str]:
    """Yields the texts between blanks, each once, also without leading and trailing signs."""
    seen: set[str] = set()
    for chunk in chain.from_iterable(text.split() for text in texts):
        for part in (chunk,) if chunk.isalnum() else (trim(chunk), "".join(split_words(chunk))):
            if part and part not in seen:
                seen.add(part)
                yield part


def _part_marks(parts: Sequence[str]) -> Iterator[str]:
    """Yields all marks of three characters, and shorter ones at the ends of parts unless another mark begins with them:
    a search for one or two characters finds all marks with that prefix."""
    marks = dict.fromkeys(part[at : at + PART] for part in parts for at in range(len(part)))
    begun = {mark[:2] for mark in marks if len(mark) == PART}
    begun |= {mark[0] for mark in marks if len(mark) > 1}
    return ("~" + mark for mark in marks if mark not in begun)


def _limited(texts: Iterable[str], size: int) -> list[str]:
    """Returns the first of `texts`, each once, with at most `size` bytes in total."""
    found: dict[str, None] = {}
    for text in texts:
        if text not in found:
            size -= (len(text) if text.isascii() else len(text.encode())) + 1
            if size < 0:
                break
            found[text] = None
    return list(found)
