"""Products as searches know them: what is stored of them, and a query as conditions on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from stockward_server.domain.search import Rank, SearchQuery, Term
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.product_rows import SEARCH_VECTOR, SELECT_PRODUCTS, products_of, search_columns
from stockward_server.storage.statement import Parameters

Bind = Callable[[Any], str]
"""Takes a value of a statement and returns the name of its parameter."""

Condition = Callable[[Bind, bool], str]
"""Makes the condition of those that are found; the second argument says whether many are."""

NOTHING = "'^'"
"""A query for a lexeme that no product has."""

MANY = 10_000
"""Products from which on it is quicker to look through the list for a page of those that match than to sort them."""

STALE_BATCH = 100
"""Products that one transaction brings up to date."""


async def refresh_search(pool: Pool) -> int:
    """Brings up to date what is stored for searching of products that a server of an earlier release has written.

    Returns the number of products. They are locked a hundred at a time; one that is locked already is left out.
    """
    refreshed = 0
    while count := await _refresh_some(pool):
        refreshed += count
        await asyncio.sleep(0)
    return refreshed


async def _refresh_some(pool: Pool) -> int:
    async with transaction(pool) as connection:
        locked = await connection.fetch(
            """
            SELECT p.product_id::text FROM products p WHERE p.searched_version <> p.version
            ORDER BY p.product_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
            """,
            STALE_BATCH,
        )
        rows = await connection.fetch(
            f"{SELECT_PRODUCTS} WHERE p.product_id = ANY($1::uuid[])", [row["product_id"] for row in locked]
        )
        await connection.executemany(
            f"""
            UPDATE products SET searched_version = version, search = {SEARCH_VECTOR.format("$2", "$3", "$4", "$5")},
                search_parts = $6, title_key = $7
            WHERE product_id = $1
            """,
            [(product.product_id, *search_columns(product)) for product in await products_of(rows)],
        )
        return len(rows)


async def plan_search(connection: Executor | Pool, found: Condition) -> bool:
    """Chooses how the next statement of this transaction finds what meets the condition; returns whether many do.

    A search vector is stored out of line, so that a look at it costs a hundred times of what PostgreSQL takes for it.
    By itself it would walk along the order of the list even where few products match. It may where many do, as
    statistics know, and a page comes from the first of them. Otherwise the index says all that match.
    """
    parameters = Parameters()
    await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")  # one word is rare, another is not
    plan = await connection.fetchval(
        f"EXPLAIN (FORMAT JSON) SELECT FROM products p WHERE {found(parameters.bind, False)}", *parameters.values
    )
    many: bool = json.loads(plan)[0]["Plan"]["Plan Rows"] > MANY
    walk = "on" if many else "off"
    await connection.execute(f"SET LOCAL enable_indexscan = {walk}; SET LOCAL enable_seqscan = off")
    return many


def matches(query: SearchQuery, bind: Bind, many: bool) -> str:
    """Returns the condition of all that are found."""
    return _found(query, bind, many, _exact(query, bind))


def has_rank(query: SearchQuery, rank: Rank, bind: Bind, many: bool) -> str:
    """Returns the condition of all that are found with this rank; `domain.search.rank` decides the same."""
    if rank is not Rank.EXACT and not query.alternatives:
        return "false"
    exact = _exact(query, bind)
    if rank is Rank.EXACT:
        return f"p.search @@ {exact}"
    titled = f"({' || '.join(_titled(terms, bind) for terms in query.alternatives)})"
    return _found(query, bind, many, also=f"{titled if rank is Rank.TITLE else f'!!{titled}'} && !!{exact}")


def _exact(query: SearchQuery, bind: Bind) -> str:
    return f"{bind(_lexeme(query.exact))}::text::tsquery"


def _found(query: SearchQuery, bind: Bind, many: bool, exact: str = "", also: str = "") -> str:
    """One question to the index, for what meets an alternative and `also`, or is `exact`; and then a look at what it
    does not know for sure. A look at the search vector itself would cost more than all else, so it is asked in a
    question of its own, but where many match and few of them are looked at."""

    def holds(question: str) -> str:
        return f"p.search @@ ({question})" if many else _among(question)

    asked, looks = [], []
    for terms in query.alternatives:
        question, look = _alternative(terms, bind, many)
        asked.append(" && ".join(filter(None, (question, also))))
        if len(query.alternatives) > 1 and question:
            look.append(holds(question))
        looks.append(" AND ".join(look))
    if exact:
        asked.append(exact)
        looks.append(holds(exact))
    conditions = [f"({' OR '.join(f'({look})' for look in looks)})"] if all(looks) else []
    if all(asked):
        conditions.insert(0, f"p.search @@ ({' || '.join(f'({each})' for each in asked)})")
    return " AND ".join(conditions) or "true"


def _alternative(terms: Sequence[Term], bind: Bind, many: bool) -> tuple[str, list[str]]:
    """A question to the index for all terms, and what it does not know for sure."""
    asked, looks = [], []
    for term in terms:
        if term.negative and term.is_unspaced:
            looks.append(f"strpos(p.search_parts, {bind(term.text)}) = 0")
            continue
        words = _by_words(term, bind)
        if term.negative:
            asked.append(f"!!{words}")
        elif not term.text:
            asked.append(words)
        else:
            begun = f"({words} || {bind(_beginning(term))}::text::tsquery)"
            part = f"{bind(_part(term))}::text::tsquery"
            asked.append(f"({begun} || {part})")
            if not term.is_exact:  # what has the marks need not have the text, but where it has the words
                sure = f"p.search @@ {begun}" if many else f"NOT {_among(f'{part} && !!{begun}')}"
                looks.append(f"(strpos(p.search_parts, {bind(term.text)}) > 0 OR {sure})")
    return " && ".join(asked), looks


def _among(question: str) -> str:
    """What the index answers to a question of its own, without a look at the search vector."""
    return f"p.product_id IN (SELECT f.product_id FROM products f WHERE f.search @@ ({question}))"


def _by_words(term: Term, bind: Bind) -> str:
    """The words in their English forms, one after another."""
    dictionary = "simple" if term.is_stop_word else "english"
    return f"phraseto_tsquery('{dictionary}', {bind(' '.join(term.words))})"


def _titled(terms: Sequence[Term], bind: Bind) -> str:
    """All words begin a word of the title."""
    words = [f"{_lexeme('^' + word)}:*" for term in terms if not term.negative for word in term.words]
    return f"{bind(' & '.join(words) or NOTHING)}::text::tsquery"


def _beginning(term: Term) -> str:
    """The words one after another, the last one as far as it is typed; or written as one."""
    words = f"{' <-> '.join(map(_lexeme, term.words))}:*"
    return words if len(term.words) == 1 else f"{words} | {_lexeme(''.join(term.words))}:*"


def _part(term: Term) -> str:
    return " & ".join(_lexeme(mark) + (":*" if len(mark) < 4 else "") for mark in term.marks)


def _lexeme(text: str) -> str:
    """Quoted for a tsquery."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
