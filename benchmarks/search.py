"""Row 13. Does search-as-you-type stay fast in a catalog of 100,000 products?"""

from __future__ import annotations

import io
import itertools
import random
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import grpc
from stockward.catalog.v1 import catalog_pb2, catalog_pb2_grpc

from benchmarks.calls import PMS_KEY
from benchmarks.report import Benchmark, Failure, Result, Run, at_most
from benchmarks.shop import Shop
from stockward_server.storage import database
from stockward_server.storage.product_search import refresh_search

PRODUCTS = 100_000
ROUNDS = 5
"""How often each search is sent while it is measured."""

MILLISECONDS = 20.0
"""What 95 of 100 searches have to be answered within, on the way through gRPC."""

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
"""Words that descriptions are made of, few of them often."""

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
        times = await _search(server.address, barcode)
    everything = sorted(time for each in times.values() for time in each)
    return [
        Result.compared(
            13,
            f"ListProducts with a search among {count:,} products: 95 of 100 within, ms",
            _percentile(everything, 0.95),
            at_most(MILLISECONDS),
            f"Median {statistics.median(everything):.1f} ms, p99 {_percentile(everything, 0.99):.1f} ms.",
            *(
                f"{name}: median {statistics.median(each):.1f} ms, p95 {_percentile(sorted(each), 0.95):.1f} ms."
                for name, each in times.items()
            ),
            refreshed,
        )
    ]


async def _fill(database_url: str, count: int) -> str:
    """Products with three variants each, as a server of an earlier release leaves them. The barcode of one of them."""
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
    """What `stockward migrate` does once for the products of an earlier release."""
    pool = await database.open_pool(database_url, 1)
    try:
        begin = time.perf_counter()
        refreshed = await refresh_search(pool)
        seconds = time.perf_counter() - begin
        await pool.execute("VACUUM ANALYZE products, variants")
        size = await pool.fetchval("SELECT pg_size_pretty(pg_relation_size('products_search'))")
    finally:
        await pool.close()
    if refreshed < count:
        raise Failure(f"only {refreshed:,} of {count:,} products were brought up to date")
    return f"Brings what an earlier release wrote up to date: {refreshed / seconds:,.0f} a second. Index: {size}."


async def _search(address: str, barcode: str) -> dict[str, list[float]]:
    """Milliseconds of each search, by kind."""
    times: dict[str, list[float]] = {name: [] for name in SEARCHES}
    metadata = (("authorization", f"Bearer {PMS_KEY}"),)
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        for number in range(ROUNDS + 1):
            for name, searches in SEARCHES.items():
                for search, order_by in itertools.product(searches, ORDERS):
                    request = catalog_pb2.ListProductsRequest(
                        search=search.format(barcode=barcode, barcode_end=barcode[-6:]), order_by=order_by
                    )
                    begin = time.perf_counter()
                    await catalog.ListProducts(request, metadata=metadata)
                    if number:  # the first round warms up
                        times[name].append(1e3 * (time.perf_counter() - begin))
    return times


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


BENCHMARK = Benchmark(13, "Searching a large catalogue", answer, limit=600)
