"""What a search of products looks at, and what it asks for.

A product is found by its words in their English forms (PostgreSQL's text search, as `words`), and by any part of what
it is called by: title, SKUs, barcodes, vendor, type, tags, handle, variants (as `marks` and `parts`). Both sides are
folded first, see `folding`.

Marks are keys of three kinds. The first character says which; no word begins with one:

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
"""Characters of a description that a search looks at. These limits keep a search vector below its 1 MiB."""

NAME_BYTES = 100_000
"""UTF-8 bytes that count of what a product is called by besides its title: enough for 2,048 usual SKUs."""

MARK_BYTES = 250_000
"""Bytes of the marks of a product."""

PART = 3
"""Characters of a mark for a part."""

SHORT = 8
"""Characters of a text that is looked for by all of its marks: fewer would find much else."""

MAX_KEY_BYTES = 2_000
"""UTF-8 bytes of the longest key; PostgreSQL takes 2,046."""

QUERY_CHARACTERS = 500
"""Characters of a folded query that count."""

BETWEEN_NAMES = " ø "
"""A word that no folded text has: no phrase is found across it."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Thai, Lao, Burmese, Khmer, Chinese, Japanese: scripts without blanks between words."""

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
"""Those of PostgreSQL's `english`: a search with other words does without them."""


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """A product as searches and lists by title know it."""

    title_words: str
    name_words: str
    description_words: str
    marks: Sequence[str]
    parts: str
    """What parts are looked for in; a blank stands between those that do not belong together."""
    title_key: str
    pairs: Set[str]
    """Which words follow each other: the beginnings of each two of them, see `word_pairs`."""


def searched(product: Product) -> object:
    """Returns the fields that the search document of a product is made of: where they are equal, so are these."""
    variants = [(each.sku, each.barcode, each.title, each.options) for each in product.variants]
    names = (product.title, product.handle, product.vendor, product.product_type, product.tags)
    return names, product.description, variants


def search_document(product: Product) -> SearchDocument:
    """Returns what a product is found by. What is beyond the limits above does not count."""
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
    """Returns the beginnings of each two words that follow each other in a folded text, of letters of English alone.

    Words with the same English form have the same beginning: that of `red shirts` is `resh`, too.
    """
    beginnings = map(_beginning, _LETTERS_OR_END.findall(BETWEEN_NAMES.join(texts)))
    return {first + second for first, second in pairwise(beginnings) if first != "ø" != second}


@lru_cache(maxsize=8192)
def _beginning(word: str) -> str:
    """Two letters, or the one that all of its form is. `dying` is a form of `die`."""
    return word[: 1 if _OF_ONE_LETTER.fullmatch(word) else 2].replace("y", "i")


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a quoted phrase of a query, folded."""

    text: str
    """As it is looked for as a part; empty where only its words count, as in a phrase."""
    words: Sequence[str]
    negative: bool = False

    @property
    def is_unspaced(self) -> bool:
        """Whether it is of a script that has no blanks between words."""
        return bool(_UNSPACED.search(self.text))

    @property
    def is_stop_word(self) -> bool:
        return STOP_WORDS.issuperset(self.words)

    @property
    def marks(self) -> Sequence[str]:
        """Three characters each that cover the text, all there are of a short one; a single mark, shorter than that,
        for a text of one or two characters."""
        last = max(0, len(self.text) - PART)
        step = 1 if len(self.text) <= SHORT else PART
        starts = dict.fromkeys((*range(0, last, step), last)) if self.text else ()
        return ["~" + self.text[at : at + PART] for at in starts]

    @property
    def pairs(self) -> Sequence[str]:
        """Of a phrase: those of its words that every product with the phrase has, too. A word that PostgreSQL does not
        look at may be any other."""
        if self.text:
            return []
        words = (word if _LETTERS.fullmatch(word) and word not in STOP_WORDS else "" for word in self.words)
        return [pair for two in pairwise(words) if all(two) for pair in word_pairs(" ".join(two))]

    @property
    def is_exact(self) -> bool:
        """Whether every product that has the marks has the text."""
        return len(self.text) <= PART


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to find: the product that is called so, or those for which all terms of one of the alternatives hold."""

    exact: str
    alternatives: Sequence[Sequence[Term]]


def search_query(text: str) -> SearchQuery:
    """Reads a query as web search engines do: words, "quoted phrases", `or` between terms, `-without`."""
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
    """How well a product fits a query, best first."""

    EXACT = 0
    """Its title, handle, or one of its SKUs or barcodes is what was searched for."""
    TITLE = 1
    """All words begin a word of its title."""
    ELSEWHERE = 2


def rank(product: Product, query: SearchQuery) -> Rank:
    """Returns the rank of a product that the query finds."""
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
    """Everything that a product is called by besides its title, folded: the most significant first, each once."""
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
    """What stands between blanks, each once; and without what is no letter or digit, where there is such a thing."""
    seen: set[str] = set()
    for chunk in chain.from_iterable(text.split() for text in texts):
        for part in (chunk,) if chunk.isalnum() else (trim(chunk), "".join(split_words(chunk))):
            if part and part not in seen:
                seen.add(part)
                yield part


def _part_marks(parts: Sequence[str]) -> Iterator[str]:
    """All that is three characters long, and the ends of parts that are shorter; but for those that begin another
    mark, as a search for one or two characters finds what begins so."""
    marks = dict.fromkeys(part[at : at + PART] for part in parts for at in range(len(part)))
    begun = {mark[:2] for mark in marks if len(mark) == PART}
    begun |= {mark[0] for mark in marks if len(mark) > 1}
    return ("~" + mark for mark in marks if mark not in begun)


def _limited(texts: Iterable[str], size: int) -> list[str]:
    """The first of `texts`, each once, that take no more than `size` bytes together."""
    found: dict[str, None] = {}
    for text in texts:
        if text not in found:
            size -= (len(text) if text.isascii() else len(text.encode())) + 1
            if size < 0:
                break
            found[text] = None
    return list(found)
