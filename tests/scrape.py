"""What a process reports of itself over HTTP, read as a scraper and a probe do."""

from __future__ import annotations

from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[str, list[tuple[dict[str, str], float]]]


async def ask(address: str, path: str) -> tuple[int, str]:
    """Status and body; 0 when nobody answers."""
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}{path}") as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return 0, ""


async def scrape(address: str) -> Samples:
    """Every sample of /metrics, by its name."""
    status, text = await ask(address, "/metrics")
    assert status == 200, text
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(samples: Samples, name: str, **labels: Any) -> float:
    """Of the samples of that name which have these labels, the sum."""
    return sum(number for found, number in samples[name] if labels.items() <= found.items())
