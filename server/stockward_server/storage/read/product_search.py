"""Translates a search of products into a query of the index and conditions on the products that the index finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stockward_server.domain.search import PART, Rank, SearchQuery, Term
from stockward_server.storage.search_index import may_have_pair

Bind = Callable[[Any], str]
"""Adds a value to a statement and returns the name of its parameter."""

Ask = Callable[[Term, Bind], str]
"""Returns the tsquery for one term."""

_CODE = re.compile(r"^(?=.*\d).{4,}$")
"""A word of at least four characters with a digit, such as a product code."""

NOTHING = "'^'"
"""A tsquery for a lexeme that no product has."""

VECTOR = """
    CASE WHEN p.indexed_version = p.version
        THEN (SELECT v.search FROM product_search v WHERE v.product_id = p.product_id) ELSE p.search END
"""
"""The search vector of `products p`. It is stored out of line: reading one takes as long as finding ten products in the
index."""


@dataclass(frozen=True, slots=True)
class SearchCondition:
    """The matches of a query: all of them, or those of one rank (see `domain.search.rank`)."""

    query: SearchQuery
    rank: Rank | None = None
    better: Sequence[str] | None = None
    """Ids of all products with a better rank, where they are known: excluding them by the index takes long."""

    @property
    def is_indexed(self) -> bool:
        """Whether the index can be used; otherwise every product must be read."""
        return bool(self._also(str)) or all(_asked(terms, str) for terms in self.query.alternatives)

    def question(self, bind: Bind, ask: Ask | None = None) -> str:
        """Returns a tsquery that the vector of every match satisfies, and few others. `ask` builds the part of a
        term."""
        also = self._also(bind)
        if self.rank is Rank.EXACT:
            return also[0]
        asked = [
            " && ".join((*_asked(self._remaining_terms(terms), bind, ask), *also)) for terms in self.query.alternatives
        ]
        if self.rank is None:
            asked.append(_exact(self.query, bind))
        return " || ".join(f"({each})" for each in dict.fromkeys(asked))

    def sieve(self, bind: Bind) -> str:
        """Returns a condition on `product_search s` that every match satisfies: it has the pairs of words of the
        phrases."""
        wanted = [
            [pair for term in terms if not term.negative for pair in term.pairs] for terms in self.query.alternatives
        ]
        if self.rank is Rank.EXACT or not wanted or not all(wanted):
            return "true"
        return f"({' OR '.join(' AND '.join(may_have_pair(pair, bind) for pair in pairs) for pairs in wanted)})"

    def look(self, bind: Bind) -> str:
        """Returns the condition on `products p` that decides whether a product found by the index is a match."""
        if not self.better:
            return self._look(bind)
        return f"p.product_id <> ALL({bind(self.better)}::uuid[]) AND {self._look(bind)}"

    def _look(self, bind: Bind) -> str:
        alternatives = self.query.alternatives
        if self.rank is Rank.EXACT or self._title_is_enough or not any(map(_has_looks, alternatives)):
            return "true"
        exact = "" if self.rank else _exact(self.query, bind)  # in each condition: saves a read of the vector
        held = []
        for terms in alternatives:
            looks = _looks(terms, exact, bind)
            if len(alternatives) > 1 and (asked := _asked(terms, bind)):
                looks.append(f"{VECTOR} @@ {_either(' && '.join(asked), exact)}")
            held.append(" AND ".join(looks))
        return f"({' OR '.join(f'({each})' for each in held)})"

    def _also(self, bind: Bind) -> list[str]:
        """Returns the tsqueries for the rank, which apply to all alternatives."""
        if self.rank is Rank.EXACT:
            return [_exact(self.query, bind)]
        also = []
        if self.rank is Rank.TITLE or (self.rank is Rank.ELSEWHERE and self.better is None):
            titled = f"({' || '.join(_words_of_title(terms, bind) for terms in self.query.alternatives)})"
            also.append(titled if self.rank is Rank.TITLE else f"!!{titled}")
        if also and self.better is None:
            also.append(f"!!{_exact(self.query, bind)}")
        return also

    def _remaining_terms(self, terms: Sequence[Term]) -> Sequence[Term]:
        """Returns the terms that products of the rank may lack: all products with the rank TITLE have the words."""
        if self.rank is not Rank.TITLE:
            return terms
        return [term for term in terms if term.negative or not (_is_word(term) or _has_look(term))]

    @property
    def _title_is_enough(self) -> bool:
        """Whether every product of this rank is a match: words that begin words of the title are parts of it."""
        terms = [term for terms in self.query.alternatives for term in terms]
        return self.rank is Rank.TITLE and all(_is_word(term) and not term.negative for term in terms)


def _exact(query: SearchQuery, bind: Bind) -> str:
    return f"{bind(_lexeme(query.exact))}::text::tsquery"


def _asked(terms: Sequence[Term], bind: Bind, ask: Ask | None = None) -> list[str]:
    """Returns tsqueries that the vector of every product with these terms satisfies."""
    return [asked for term in terms if (asked := (ask or _question)(term, bind))]


def for_estimate(term: Term, bind: Bind) -> str:
    """Returns the largest part of a term's tsquery: an estimate adds up the parts, which mostly mean the same
    products."""
    if term.negative or not term.text:
        return _question(term, bind)
    if len(term.text) <= PART:
        return _part(term, bind)
    return f"({_begun_somewhere(term, bind)} || {_part(term, bind)})"


def _question(term: Term, bind: Bind) -> str:
    if term.negative and _has_look(term):
        return ""
    if term.negative:
        return f"!!{_by_words(term, bind)}"
    if not term.text:
        return _by_words(term, bind, "plainto_tsquery")
    return f"({_by_words(term, bind, 'plainto_tsquery')} || {_begun_somewhere(term, bind)} || {_part(term, bind)})"


def _is_word(term: Term) -> bool:
    return term.words == [term.text]


def _has_looks(terms: Sequence[Term]) -> bool:
    return any(map(_has_look, terms))


def _has_look(term: Term) -> bool:
    """Whether a product that the index finds may lack the term."""
    if term.negative and term.is_unspaced:
        return True
    if not term.text:
        return True
    return len(term.words) > 1 or not (term.negative or term.is_exact)


def _looks(terms: Sequence[Term], exact: str, bind: Bind) -> list[str]:
    """Returns the conditions for the terms that the index cannot decide. A product that satisfies the tsquery `exact`,
    if given, satisfies each of them."""
    return [_look(term, exact, bind) for term in terms if _has_look(term)]


def _look(term: Term, exact: str, bind: Bind) -> str:
    if term.negative and term.is_unspaced:
        absent = f"strpos(p.search_parts, {bind(term.text)}) = 0"
        return f"({absent} OR {VECTOR} @@ {exact})" if exact else absent
    words = _by_words(term, bind)
    if term.negative:
        return f"{VECTOR} @@ {_either(f'!!{words}', exact)}"
    if not term.text:
        return f"{VECTOR} @@ {_either(words, exact)}"
    begun = f"{words} || {_begun(term, bind)}"
    return f"(strpos(p.search_parts, {bind(term.text)}) > 0 OR {VECTOR} @@ {_either(begun, exact)})"


def _either(query: str, exact: str) -> str:
    return f"(({query}) || {exact})" if exact else f"({query})"


def _by_words(term: Term, bind: Bind, function: str = "phraseto_tsquery") -> str:
    """Returns a tsquery for the words in their English forms: in sequence, or in any order with `plainto_tsquery`."""
    dictionary = "simple" if term.is_stop_word else "english"
    return f"{function}('{dictionary}', {bind(' '.join(term.words))})"


def _begun(term: Term, bind: Bind) -> str:
    """Returns a tsquery for the words in sequence, the last one as a prefix, or for the words written as one."""
    return _or_as_one(term, f"{' <-> '.join(map(_lexeme, term.words))}:*", bind)


def _begun_somewhere(term: Term, bind: Bind) -> str:
    """Returns a tsquery for all words in any order, the last one as a prefix unless another word is a code, which is
    rare: the index is slow to find all words that begin with one letter."""
    words = [_lexeme(word) for word in term.words]
    if any(map(_CODE.search, term.words[:-1])):
        del words[-1]
    else:
        words[-1] += ":*"
    return _or_as_one(term, " & ".join(words), bind)


def _or_as_one(term: Term, words: str, bind: Bind) -> str:
    if len(term.words) > 1:
        words = f"{words} | {_lexeme(''.join(term.words))}:*"
    return f"{bind(words)}::text::tsquery"


def _part(term: Term, bind: Bind) -> str:
    marks = (_lexeme(mark) + (":*" if len(mark) < 4 else "") for mark in term.marks)
    return f"{bind(' & '.join(marks))}::text::tsquery"


def _words_of_title(terms: Sequence[Term], bind: Bind) -> str:
    """Returns a tsquery for all words as prefixes of words of the title."""
    words = [f"{_lexeme('^' + word)}:*" for term in terms if not term.negative for word in term.words]
    return f"{bind(' & '.join(words) or NOTHING)}::text::tsquery"


def _lexeme(text: str) -> str:
    """Returns the text quoted for a tsquery."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
