"""Row 13. Does search-as-you-type stay fast in a catalog of 100,000 products?"""

from __future__ import annotations

import io
import itertools
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import grpc
from stockward.catalog.v1 import catalog_pb2, catalog_pb2_grpc

from benchmarks.calls import PMS_KEY
from benchmarks.processes import Server, pid_of, running_nanoseconds
from benchmarks.report import Benchmark, Failure, Result, Run, at_most
from benchmarks.shop import Shop
from stockward_dev import Postgres
from stockward_server.storage import database
from stockward_server.storage.write.search_refresh import refresh_search

PRODUCTS = 100_000
ROUNDS = 5
"""Number of measured repetitions of each search, after a first one."""

MILLISECONDS = 20.0
"""Maximum milliseconds of 95 of 100 searches, measured through gRPC."""

KINDS = """
    shirt dress jacket trousers shoe boot hat scarf glove belt bag wallet watch ring bracelet necklace earring lamp
    chair table sofa shelf desk bed pillow blanket towel curtain carpet mirror vase candle clock frame kettle teapot mug
    plate bowl glass knife fork spoon pan pot oven toaster blender café-crème Müsli book notebook pencil marker
""".split()  # noqa: SIM905
LOOKS = """
    red blue green black white yellow orange purple silver golden small large wide slim light heavy soft warm cool dry
    organic recycled waterproof folding wireless electric vintage modern classic rustic nordic Äpfel Über crème naïve
""".split()  # noqa: SIM905
STUFFS = "cotton wool linen silk leather steel copper brass oak walnut bamboo glass ceramic paper cork felt".split()  # noqa: SIM905
SYLLABLES = "ka lo mi re tu sa no vi pe du ga fi zo be ha".split()  # noqa: SIM905
WORDS = 3_000
"""Number of different words in descriptions, few of them frequent."""

SEARCHES = {
    "a word of many": ("shirt", "red", "cotton", "oak shelf", "red cotton shirt"),
    "a word that is begun": ("s", "sh", "shi", "brac", "cott", "red cotton shi", "cafe", "wat"),
    "part of a word": ("racel", "hirt", "aterproo", "lectr", "ofa"),
    "a SKU": ("KT-INS01234-RED", "INS0123", "KT-INS", "S01234-R", "01234", "ins09"),
    "a barcode": ("{barcode}", "400638", "{barcode_end}", "38133"),
    "another script": ("日本語", "本", "日本語の本 4711"),
    "with operators": ("shirt -cotton", '"red shirt"', "bracelet or necklace", "-shirt"),
    "nothing": ("qqqq", "KT-XYZ", "!!!", "zzzzzzzzzzzz yyyyyyy"),
}
PRODUCT_COLUMNS = (
    "product_id handle title description vendor product_type tags images attributes state publish_time create_time "
    "update_time version search"
)
VARIANT_COLUMNS = "sku product_id position title currency price options barcode weight_grams image_url"
ORDERS = ("", "title", "create_time desc")


async def answer(run: Run) -> Sequence[Result]:
    count = run.size(PRODUCTS)
    async with Shop.open(run) as shop:
        run.say(f"{count:,} products")
        barcode = await _fill(shop.database, count)
        refreshed = await _refresh(shop.database, count)
        server = await shop.server()
        run.say("searching")
        found = await _search(server, shop.services.postgres, barcode)
    everything = [sample for samples in found.values() for sample in samples]
    return [
        _compared(f"A search among {count:,} products: 95 of 100 within, ms", everything, refreshed),
        *(_compared(f"Of that: {kind}", samples) for kind, samples in found.items()),
    ]


class Sample(NamedTuple):
    """The figures of one search, in milliseconds."""

    elapsed: float
    server: float
    """CPU time of the server process."""
    database: float
    """CPU time of PostgreSQL."""
    first: bool
    """Whether it was the first of its kind: then most of its products were read from the database."""


def _compared(name: str, samples: Sequence[Sample], *detail: str) -> Result:
    def figures(value: Callable[[Sample], float], *, first: bool = False) -> str:
        values = sorted(value(sample) for sample in samples if sample.first is first)
        shown = [_percentile(values, share) for share in (0.5, 0.95, 0.99)]
        return "median {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms".format(*shown)

    return Result.compared(
        13,
        name,
        _percentile(sorted(sample.elapsed for sample in samples if not sample.first), 0.95),
        at_most(MILLISECONDS),
        f"Latency: {figures(lambda sample: sample.elapsed)}; "
        f"sent for the first time: {figures(lambda sample: sample.elapsed, first=True)}.",
        f"CPU of the server: {figures(lambda sample: sample.server)}.",
        f"CPU of PostgreSQL: {figures(lambda sample: sample.database)}.",
        *detail,
    )


async def _fill(database_url: str, count: int) -> str:
    """Inserts products with three variants each, as a server of an earlier release stored them. Returns one of the
    barcodes."""
    chance = random.Random(13)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(WORDS)]
    weights = [1 / (rank + 5) for rank in range(WORDS)]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    products, variants = list[tuple[object, ...]](), list[tuple[object, ...]]()
    barcode = ""
    for number in range(count):
        product_id = UUID(int=(0x0191 << 112) + number)
        kind, look, stuff = chance.choice(KINDS), chance.choice(LOOKS), chance.choice(STUFFS)
        title = f"{look.capitalize()} {stuff} {kind} {chance.choice(words)}" if number % 50 else f"日本語の本 {number}"
        description = " ".join(chance.choices(words, weights, k=40))
        made = start + timedelta(seconds=chance.randrange(10_000_000))
        texts = (title, description, f"Vendor {chance.randrange(200)}", kind, f"{{{look},{stuff}}}")
        products.append((product_id, f"p-{number}", *texts, "[]", "{}", 2, made, made, made, 2, ""))
        for position, colour in enumerate(("Red", "Blue", "Green")):
            sku, barcode = f"KT-INS{number:05}-{colour[:3].upper()}", f"400{chance.randrange(10**10):010}"
            variants.append((sku, product_id, position, colour, "EUR", 1990, "{}", barcode, 0, ""))
    connection = await asyncpg.connect(database_url)
    try:
        await _copy(connection, "products", PRODUCT_COLUMNS, products)
        await _copy(connection, "variants", VARIANT_COLUMNS, variants)
    finally:
        await connection.close()
    return barcode


async def _copy(connection: Any, table: str, columns: str, rows: Sequence[Sequence[object]]) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    await connection.copy_to_table(table, source=io.BytesIO(text.encode()), columns=columns.split())


async def _refresh(database_url: str, count: int) -> str:
    """Does what `stockward migrate` does once for the products of an earlier release; returns a line about it."""
    pool = await database.open_pool(database_url, 1)
    try:
        begin = time.perf_counter()
        refreshed = await refresh_search(pool)
        seconds = time.perf_counter() - begin
        await pool.execute("VACUUM ANALYZE products, variants, product_search")
        size = await pool.fetchval("SELECT pg_size_pretty(pg_relation_size('product_search_search'))")
    finally:
        await pool.close()
    if refreshed < count:
        raise Failure(f"only {refreshed:,} of {count:,} products were brought up to date")
    return f"Brings what an earlier release wrote up to date: {refreshed / seconds:,.0f} a second. Index: {size}."


async def _search(server: Server, postgres: Postgres, barcode: str) -> dict[str, list[Sample]]:
    """Returns the samples of each search, by kind."""
    found: dict[str, list[Sample]] = {kind: [] for kind in SEARCHES}
    pids = pid_of(server), pid_of(postgres)
    metadata = (("authorization", f"Bearer {PMS_KEY}"),)
    async with grpc.aio.insecure_channel(server.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        await catalog.ListProducts(catalog_pb2.ListProductsRequest(search="begin"), metadata=metadata)
        for number in range(ROUNDS + 1):
            for kind, searches in SEARCHES.items():
                for search, order_by in itertools.product(searches, ORDERS):
                    request = catalog_pb2.ListProductsRequest(
                        search=search.format(barcode=barcode, barcode_end=barcode[-6:]), order_by=order_by
                    )
                    before = [running_nanoseconds(pid) for pid in pids]
                    begin = time.perf_counter()
                    await catalog.ListProducts(request, metadata=metadata)
                    elapsed = time.perf_counter() - begin
                    used = [running_nanoseconds(pid) - start for pid, start in zip(pids, before, strict=True)]
                    found[kind].append(Sample(1e3 * elapsed, used[0] / 1e6, used[1] / 1e6, not number))
    return found


def _percentile(values: Sequence[float], share: float) -> float:
    """Returns a percentile of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


BENCHMARK = Benchmark(13, "Searching a large catalogue", answer, limit=600)
