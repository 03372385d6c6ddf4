"""What one address may take of the edge before anything is known of its callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stockward_server.edge.parts import ADMISSION, Limits, header, lua, seconds, typed

ADMISSION_SCRIPT = Path(__file__).with_name("admission.lua")

NEVER = 2**31
"""More refusals than there are."""

BUCKETS = 8
"""Into so many the addresses are divided; those of one have their connections in common."""

MAX_ADDRESSES = 10_000
"""Addresses whose requests are counted at the same time; those that were not seen for longest are forgotten first."""

BURST_SECONDS = 10
"""How many seconds' worth of requests without a key may come at once."""

SUBNET = 64
"""Bits of an IPv6 address that belong to one site; the others it chooses by itself."""


def filter_chains(chain: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns what a listener has of filter chains, so that one address cannot have all connections.

    Envoy can only count the connections of a filter chain. So there is one for each bucket, and the hash of an address
    says which is its. Behind proxies all connections are theirs, and they have to see to it.
    """
    if limits.proxies or not limits.connections_per_address:
        return {"filter_chains": [chain]}
    names = [f"bucket-{number}" for number in range(BUCKETS)]
    return {
        "filter_chains": [_counted(chain, name, limits.connections_per_address) for name in names],
        "filter_chain_matcher": {
            "matcher_list": {"matchers": [_goes_to(name, number) for number, name in enumerate(names)]}
        },
    }


def _counted(chain: dict[str, Any], name: str, most: int) -> dict[str, Any]:
    counter = typed(
        "envoy.filters.network.connection_limit",
        "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
        stat_prefix=name,
        max_connections=most,
    )
    return {**chain, "name": name, "filters": [counter, *chain["filters"]]}


def _goes_to(name: str, number: int) -> dict[str, Any]:
    """The first takes the highest hashes, each further one the next, and the last all that are left."""
    matching = "envoy.extensions.matching"
    return {
        "predicate": {
            "single_predicate": {
                "input": typed("source", f"{matching}.common_inputs.network.v3.SourceIPInput"),
                "custom_match": typed(
                    "hash",
                    f"{matching}.input_matchers.consistent_hashing.v3.ConsistentHashing",
                    threshold=BUCKETS - 1 - number,
                    modulo=BUCKETS,
                ),
            }
        },
        "on_match": {"action": typed(name, "google.protobuf.StringValue", value=name)},
    }


def silent_connections(limits: Limits) -> dict[str, Any]:
    """Returns what has a listener close a connection on which nothing comes: it waits to see which protocol that is."""
    inspector = typed(
        "envoy.filters.listener.http_inspector", "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
    )
    return {"listener_filters": [inspector], "listener_filters_timeout": seconds(limits.header_seconds)}


def keyless_requests(limits: Limits) -> list[dict[str, Any]]:
    """Returns the filters that count requests without a good credential by the address that they come from."""
    script = f"local MANY = {limits.keyless_per_second or NEVER}\n{ADMISSION_SCRIPT.read_text(encoding='utf-8')}"
    admission = lua(ADMISSION, script)
    if not limits.keyless_per_second:
        return [admission]
    bucket = {
        "max_tokens": limits.keyless_per_second * BURST_SECONDS,
        "tokens_per_fill": limits.keyless_per_second,
        "fill_interval": "1s",
    }
    found = {"key": ADMISSION, "path": [{"key": "kind"}]}
    kind = {"descriptor_key": "kind", "metadata_key": found, "source": "DYNAMIC"}
    address = {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": SUBNET}
    always = {"default_value": {"numerator": 100}}
    counter = typed(
        "envoy.filters.http.local_ratelimit",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="keyless",
        filter_enabled=always,
        filter_enforced=always,
        # Of all others there is no limit; each address has a bucket of its own.
        token_bucket={"max_tokens": 2**32 - 1, "tokens_per_fill": 2**32 - 1, "fill_interval": "1s"},
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=MAX_ADDRESSES,
        descriptors=[
            {
                "entries": [{"key": "kind", "value": "keyless"}, {"key": "masked_remote_address"}],
                "token_bucket": bucket,
            }
        ],
        rate_limits=[{"actions": [{"metadata": kind}, {"masked_remote_address": address}]}],
        response_headers_to_add=[header("retry-after", "1")],
        rate_limited_as_resource_exhausted=True,
    )
    return [admission, counter]
