"""Limits of one address, which apply before its callers are authenticated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stockward_server.edge.parts import ADMISSION, Limits, header, lua, seconds, typed

ADMISSION_SCRIPT = Path(__file__).with_name("admission.lua")

NEVER = 2**31
"""A number of refusals that is never reached."""

BUCKETS = 8
"""Number of buckets into which addresses are hashed; the addresses of one bucket share its limit of connections."""

MAX_ADDRESSES = 10_000
"""Maximum of addresses whose requests are counted; the least recently used are evicted first."""

BURST_SECONDS = 10
"""Burst of requests without a key, as seconds of their rate."""

SUBNET = 64
"""Bits of an IPv6 address that identify a site; a site chooses the others itself."""


def filter_chains(chain: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns the filter chains of a listener, which limit the connections of one address.

    Envoy can only count the connections of a filter chain. So each bucket has a chain, selected by the hash of the
    address. Behind proxies all connections are theirs, and the proxies have to limit them.
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
    """Returns the matcher of a bucket: the first has the highest hashes, each further one the next lower."""
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
    """Returns the listener filters that close a connection on which no data arrives: they detect the protocol."""
    inspector = typed(
        "envoy.filters.listener.http_inspector", "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
    )
    return {"listener_filters": [inspector], "listener_filters_timeout": seconds(limits.header_seconds)}


def keyless_requests(limits: Limits) -> list[dict[str, Any]]:
    """Returns the filters that limit requests without a valid credential, by address."""
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
        # All other requests have no limit; each address has its own bucket.
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
