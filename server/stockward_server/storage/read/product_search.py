"""A search of products as questions to the index, and as what is looked at in the products that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stockward_server.domain.search import PART, Rank, SearchQuery, Term
from stockward_server.storage.search_index import may_have_pair

Bind = Callable[[Any], str]
"""Takes a value of a statement and returns the name of its parameter."""

Ask = Callable[[Term, Bind], str]
"""Makes a query for one term."""

_CODE = re.compile(r"^(?=.*\d).{4,}$")
"""A word with a digit, and not a short one."""

NOTHING = "'^'"
"""A query for a lexeme that no product has."""

VECTOR = """
    CASE WHEN p.indexed_version = p.version
        THEN (SELECT v.search FROM product_search v WHERE v.product_id = p.product_id) ELSE p.search END
"""
"""The search vector of `products p`. It is stored out of line: ten products are found in the index in the time that a
look at one takes."""


@dataclass(frozen=True, slots=True)
class SearchCondition:
    """What a query finds: all of it, or what has one rank, as `domain.search.rank` decides, too."""

    query: SearchQuery
    rank: Rank | None = None
    better: Sequence[str] | None = None
    """Ids of all that have a better rank, where they are known: the index takes long to leave them out."""

    @property
    def is_indexed(self) -> bool:
        """Whether the index has an answer; otherwise every product has to be looked at."""
        return bool(self._also(str)) or all(_asked(terms, str) for terms in self.query.alternatives)

    def question(self, bind: Bind, ask: Ask | None = None) -> str:
        """Returns a query that the vector of each product that is found meets, and few others. `ask` makes the part of
        a term."""
        also = self._also(bind)
        if self.rank is Rank.EXACT:
            return also[0]
        asked = [
            " && ".join((*_asked(self._left_to_ask(terms), bind, ask), *also)) for terms in self.query.alternatives
        ]
        if self.rank is None:
            asked.append(_exact(self.query, bind))
        return " || ".join(f"({each})" for each in dict.fromkeys(asked))

    def sieve(self, bind: Bind) -> str:
        """Returns what all that is found has in `product_search s`, where the words of phrases follow each other."""
        wanted = [
            [pair for term in terms if not term.negative for pair in term.pairs] for terms in self.query.alternatives
        ]
        if self.rank is Rank.EXACT or not wanted or not all(wanted):
            return "true"
        return f"({' OR '.join(' AND '.join(may_have_pair(pair, bind) for pair in pairs) for pairs in wanted)})"

    def look(self, bind: Bind) -> str:
        """Returns what decides, in `products p`, about those that meet the question."""
        if not self.better:
            return self._look(bind)
        return f"p.product_id <> ALL({bind(self.better)}::uuid[]) AND {self._look(bind)}"

    def _look(self, bind: Bind) -> str:
        alternatives = self.query.alternatives
        if self.rank is Rank.EXACT or self._title_is_enough or not any(map(_has_looks, alternatives)):
            return "true"
        exact = "" if self.rank else _exact(self.query, bind)  # in each look, so that it takes no further one
        held = []
        for terms in alternatives:
            looks = _looks(terms, exact, bind)
            if len(alternatives) > 1 and (asked := _asked(terms, bind)):
                looks.append(f"{VECTOR} @@ {_either(' && '.join(asked), exact)}")
            held.append(" AND ".join(looks))
        return f"({' OR '.join(f'({each})' for each in held)})"

    def _also(self, bind: Bind) -> list[str]:
        """Queries for the rank, whatever the terms are."""
        if self.rank is Rank.EXACT:
            return [_exact(self.query, bind)]
        also = []
        if self.rank is Rank.TITLE or (self.rank is Rank.ELSEWHERE and self.better is None):
            titled = f"({' || '.join(_titled(terms, bind) for terms in self.query.alternatives)})"
            also.append(titled if self.rank is Rank.TITLE else f"!!{titled}")
        if also and self.better is None:
            also.append(f"!!{_exact(self.query, bind)}")
        return also

    def _left_to_ask(self, terms: Sequence[Term]) -> Sequence[Term]:
        """Those that most products of the rank may not have: all of a title's have the words at least."""
        if self.rank is not Rank.TITLE:
            return terms
        return [term for term in terms if term.negative or not (_is_word(term) or _has_look(term))]

    @property
    def _title_is_enough(self) -> bool:
        """Whether all that have this rank are found: words that begin words of a title are parts of it."""
        terms = [term for terms in self.query.alternatives for term in terms]
        return self.rank is Rank.TITLE and all(_is_word(term) and not term.negative for term in terms)


def _exact(query: SearchQuery, bind: Bind) -> str:
    return f"{bind(_lexeme(query.exact))}::text::tsquery"


def _asked(terms: Sequence[Term], bind: Bind, ask: Ask | None = None) -> list[str]:
    """Queries that the vector of a product for which the terms hold meets, all of them."""
    return [asked for term in terms if (asked := (ask or _question)(term, bind))]


def for_estimate(term: Term, bind: Bind) -> str:
    """The largest part of the question, as an estimate adds up its parts, which mostly mean the same products."""
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
    """Whether a product that meets the question to the index need not have the term."""
    if term.negative and term.is_unspaced:
        return True
    if not term.text:
        return True
    return len(term.words) > 1 or not (term.negative or term.is_exact)


def _looks(terms: Sequence[Term], exact: str, bind: Bind) -> list[str]:
    """Conditions that decide about the terms that the index does not know for sure. What meets the query `exact`, if
    there is one, meets each of them."""
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
    """The words in their English forms: one after another, or with `plainto_tsquery` all of them somewhere."""
    dictionary = "simple" if term.is_stop_word else "english"
    return f"{function}('{dictionary}', {bind(' '.join(term.words))})"


def _begun(term: Term, bind: Bind) -> str:
    """The words one after another, the last one as far as it is typed; or written as one."""
    return _or_as_one(term, f"{' <-> '.join(map(_lexeme, term.words))}:*", bind)


def _begun_somewhere(term: Term, bind: Bind) -> str:
    """All the words, the last one as far as it is typed, where the others are no code that hardly any product has: it
    takes the index long to find all words that begin with one letter."""
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


def _titled(terms: Sequence[Term], bind: Bind) -> str:
    """All words begin a word of the title."""
    words = [f"{_lexeme('^' + word)}:*" for term in terms if not term.negative for word in term.words]
    return f"{bind(' & '.join(words) or NOTHING)}::text::tsquery"


def _lexeme(text: str) -> str:
    """Quoted for a tsquery."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
