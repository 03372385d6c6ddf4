"""Converts counters to metric families of Prometheus, at every scrape.

Names follow the semantic conventions of OpenTelemetry where they have one (rpc.server.duration, db.client.connection.*,
messaging.client.*, http.client.request.duration) as Prometheus spells them; what is Stockward's own begins with
`stockward_`. Durations are in seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from stockward_server.observability.certificates import expiry_of

if TYPE_CHECKING:  # each process imports only its own parts
    from stockward_server.api.calls.metrics import CallMetrics
    from stockward_server.application.reads import CachedLoader
    from stockward_server.gateway import GatewayMetrics
    from stockward_server.relay import RelayMetrics
    from stockward_server.runtime.distribution import Distribution
    from stockward_server.storage.database import PoolUse
    from stockward_server.storage.events.backlog import Backlog
    from stockward_server.storage.read.replicas import ReplicaReads
    from stockward_server.storage.read.short_audit import AuditMetrics
    from stockward_server.storage.write.lanes import Lanes

Labels = Sequence[str]


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def counters(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def histogram(name: str, text: str, found: Distribution) -> Metric:
    return histograms(name, text, (), {(): found})


def histograms(name: str, text: str, labels: Labels, found: Mapping[Labels, Distribution]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, each in found.items():
        bounds = [*map(str, map(float, each.bounds)), "+Inf"]
        family.add_metric(key, list(zip(bounds, accumulate(each.counts), strict=True)), each.sum)
    return family


def calls(metrics: CallMetrics) -> Iterator[Metric]:
    """Yields metrics of the gRPC server."""
    durations: dict[Labels, Distribution] = {
        (*_method(name), code): found for (name, code), found in metrics.durations.items()
    }
    labels = ("rpc_service", "rpc_method", "rpc_grpc_status_code")
    yield histograms("rpc_server_duration_seconds", "Calls that ended, by status.", labels, durations)
    active: dict[Labels, float] = {_method(name): count for name, count in metrics.active.items()}
    yield gauges("rpc_server_active_requests", "Calls under way, watches included.", labels[:2], active)
    refusals: dict[Labels, float] = {(reason,): count for reason, count in metrics.refusals.items()}
    yield counters("stockward_refusals", "Calls answered with an error, by its reason.", ("reason",), refusals)


def committing(committer: Lanes, queue_limit: int) -> Iterator[Metric]:
    """Yields metrics of the write path."""
    metrics = committer.metrics
    yield gauge("stockward_committer_queue_commands", "Commands that wait for a batch.", committer.queued)
    yield gauge("stockward_committer_queue_limit_commands", "Commands that may wait.", queue_limit)
    yield counter("stockward_committer_commands", "Commands whose batch has ended.", metrics.commands)
    yield histogram("stockward_committer_batch_size_commands", "Commands of a batch.", metrics.sizes)
    yield histogram("stockward_committer_batch_duration_seconds", "A batch, from start to answers.", metrics.seconds)
    yield histogram("stockward_committer_queue_wait_seconds", "Longest wait of a batch's commands.", metrics.waits)
    phases: dict[Labels, float] = {(phase,): seconds for phase, seconds in metrics.phases.items()}
    yield counters("stockward_committer_phase_seconds", "Time in each part of transactions.", ("phase",), phases)
    yield counter("stockward_committer_optimistic", "Batches written in one round trip.", metrics.optimistic)
    yield counter("stockward_committer_overtaken", "Batches decided on rows that had changed.", metrics.overtaken)
    yield counter("stockward_committer_retries", "Transactions repeated for want of a database.", metrics.retries)
    yield counter("stockward_committer_replays", "Batches replayed one command at a time.", metrics.replays)


def caches(reads: Mapping[str, CachedLoader[str, object]]) -> Iterator[Metric]:
    """Yields metrics of the storefront's read path."""
    hits: dict[Labels, float] = {(name,): each.hits for name, each in reads.items()}
    misses: dict[Labels, float] = {(name,): each.misses for name, each in reads.items()}
    yield counters("stockward_cache_hits", "Reads answered from memory.", ("cache",), hits)
    yield counters("stockward_cache_misses", "Reads that asked the database.", ("cache",), misses)


def pool(name: str, use: PoolUse) -> Iterator[Metric]:
    """Yields metrics of a pool of database connections."""
    label = "db_client_connection_pool_name"
    counts: dict[Labels, float] = {(name, "used"): use.used, (name, "idle"): use.idle}
    labels = (label, "db_client_connection_state")
    yield gauges("db_client_connection_count", "Connections to PostgreSQL.", labels, counts)
    yield gauges("db_client_connection_max", "Most connections to PostgreSQL.", (label,), {(name,): use.most})
    waiting: dict[Labels, float] = {(name,): use.waiting}
    yield gauges("db_client_connection_pending_requests", "Tasks that wait for a connection.", (label,), waiting)


def relaying(metrics: RelayMetrics, stream: str) -> Iterator[Metric]:
    """Yields metrics of the relay, from the outbox to JetStream."""
    labels = ("messaging_system", "messaging_destination_name")
    where = ("nats", stream)
    yield counters("messaging_client_sent_messages", "Events published.", labels, {where: metrics.published})
    yield histograms(
        "messaging_client_operation_duration_seconds",
        "Batches of events, until JetStream has acknowledged them.",
        (*labels, "messaging_operation_name"),
        {(*where, "publish"): metrics.seconds},
    )
    errors: dict[Labels, float] = {(error,): count for error, count in metrics.errors.items()}
    yield counters("stockward_relay_errors", "Sessions of the relay that broke.", ("error_type",), errors)
    if metrics.stream_sequence is not None:
        yield gauge("stockward_stream_last_sequence", "The stream's last message.", metrics.stream_sequence)
    yield gauge("stockward_relay_shards", "Parts of the outbox that this relay owns.", metrics.shards)
    yield nats_connected(metrics.connected)


def delivering(metrics: GatewayMetrics, stream: str) -> Iterator[Metric]:
    """Yields metrics of the gateway, from JetStream to the endpoints."""
    labels = ("messaging_system", "messaging_destination_name")
    consumed: dict[Labels, float] = {("nats", stream): metrics.fanned_out}
    yield counters("messaging_client_consumed_messages", "Events made into deliveries.", labels, consumed)
    attempts: dict[Labels, float] = dict(metrics.attempts.items())
    yield counters("stockward_delivery_attempts", "Webhooks sent, by outcome.", ("endpoint_id", "outcome"), attempts)
    durations: dict[Labels, Distribution] = {("POST", status): found for status, found in metrics.durations.items()}
    yield histograms(
        "http_client_request_duration_seconds",
        "Requests to endpoints; the status is `error` where no answer came.",
        ("http_request_method", "http_response_status_code"),
        durations,
    )
    yield gauge("stockward_gateway_lanes", "Lanes that are being seen through.", metrics.lanes())
    yield gauge("stockward_gateway_open_breakers", "Endpoints left alone for failing.", len(metrics.open_breakers()))
    yield gauge("stockward_gateway_feeding", "Whether this gateway reads the stream.", metrics.feeding)


def auditing(metrics: AuditMetrics) -> Iterator[Metric]:
    """Yields metrics of the short audit."""
    yield counter("stockward_audit_checked_rows", "Stock rows compared with the ledger.", metrics.checked)
    yield gauge("stockward_audit_discrepancies", "Counters found wrong at the last look.", metrics.discrepancies)
    yield gauge("stockward_audit_finish_timestamp_seconds", "Time of the last look.", metrics.finish_time)


def replicas(reads: ReplicaReads) -> Iterator[Metric]:
    """Yields metrics of the standbys that serve lists."""
    served: dict[Labels, float] = dict(reads.served.items())
    text = "Lists read, by where; and why on the primary."
    yield counters("stockward_list_reads", text, ("served_by", "reason"), served)
    lags: dict[Labels, float] = {(each.name,): each.age for each in reads.replicas}
    yield gauges("stockward_replica_lag_seconds", "How old a standby is at most.", ("replica",), lags)
    usable: dict[Labels, float] = {(each.name,): each.usable for each in reads.replicas}
    yield gauges("stockward_replica_usable", "Whether a standby serves lists.", ("replica",), usable)


def certificates(files: Mapping[str, Path], in_use: Mapping[str, datetime] | None = None) -> Iterator[Metric]:
    """Yields the expiry of certificates by the setting that names each: of the one `in_use` where that is known, else
    of the one in the file. Leaves out files that cannot be read; `stockward doctor` reports them."""
    ends: dict[Labels, float] = {}
    for name, file in files.items():
        with contextlib.suppress(OSError, ValueError):
            ends[(name,)] = ((in_use or {}).get(name) or expiry_of(file)).timestamp()
    text = "Unix time at which a certificate ends."
    yield gauges("stockward_certificate_expiry_timestamp_seconds", text, ("certificate",), ends)


def nats_connected(connected: bool) -> Metric:
    return gauge("stockward_nats_connected", "Whether NATS is there.", connected)


def behind(backlog: Backlog) -> Iterable[Metric]:
    """Returns metrics of the whole shop, from the database. Every process reports the same: aggregate by maximum."""
    return (
        gauge("stockward_outbox_pending_events", "Events not yet published.", backlog.outbox_pending),
        gauge("stockward_outbox_oldest_age_seconds", "Age of the oldest of them.", backlog.outbox_age),
        gauge("stockward_deliveries_pending", "Deliveries not yet taken.", backlog.deliveries_pending),
        gauge("stockward_deliveries_oldest_due_seconds", "How long one has been due.", backlog.deliveries_age),
        gauge("stockward_dead_letters", "Dead letters: deliveries whose attempts are used up.", backlog.dead),
        gauge("stockward_endpoints_disabled", "Endpoints that are disabled.", len(backlog.disabled)),
        gauge("stockward_endpoints_given_up", "Endpoints that the gateway disabled.", len(backlog.given_up)),
        gauge("stockward_endpoints_failing", "Enabled endpoints that fail.", len(backlog.failing)),
        gauge("stockward_sweeper_lag_seconds", "How long something has been due to expire.", backlog.sweeper_age),
        gauge("stockward_messages_set_aside", "Messages that are no events of ours.", backlog.set_aside),
        gauge("stockward_lost_events", "Published events that the record lacks, not settled.", backlog.lost),
        gauge(
            "stockward_unsettled_epochs", "Epochs of the record that are not settled.", len(backlog.unsettled_epochs)
        ),
        gauges(
            "stockward_feed_sequence",
            "The last message of the stream that was made into deliveries.",
            ("messaging_destination_name",),
            {(stream,): sequence for stream, sequence in backlog.positions.items()},
        ),
    )


def _method(full_name: str) -> tuple[str, str]:
    """Returns service and method of `/package.Service/Method`."""
    service, _, method = full_name.removeprefix("/").partition("/")
    return service, method
