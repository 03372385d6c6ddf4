"""The hourly cleaner: each setting says how long its own kind is kept, and no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stockward_server.bootstrap.server import _keep_house
from stockward_server.config import Settings
from stockward_server.storage.database import Pool

DAYS = (4, 6, 9, 11, 19, 21)
"""How old the rows of each kind are: on either side of each limit."""

OLD = """
    CREATE TABLE old AS SELECT day, now() - make_interval(days => day, hours => 1) AS time
    FROM unnest('{4,6,9,11,19,21}'::int[]) day;
    INSERT INTO idempotency SELECT 'tests', gen_random_uuid(), 'm', '', '', time FROM old;
    INSERT INTO orders (order_id, state, currency, payment_terms, customer_id, reference, create_time, update_time,
                        version)
    SELECT gen_random_uuid(), 6, 'EUR', 1, '', '', time, time, 1 FROM old;
    INSERT INTO order_contacts SELECT order_id, '', '' FROM orders;
    INSERT INTO endpoints VALUES ('e', 'http://127.0.0.1:1/', '', '{*}', 32, false, '', now(), now());
    INSERT INTO endpoint_secrets VALUES ('e', 'over', now(), now() - interval '1 second'), ('e', 'signs', now(), NULL);
    INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state)
    SELECT 'e', (lpad(to_hex((extract(epoch FROM time) * 1000)::bigint), 12, '0') || repeat('7', 20))::uuid,
           'a', 'order.created', day, time, 2 FROM old;
"""

LEFT = {
    "idempotency": "SELECT extract(day FROM now() - create_time) FROM idempotency",
    "contacts": "SELECT extract(day FROM now() - update_time) FROM orders JOIN order_contacts USING (order_id)",
    "deliveries": "SELECT seq FROM deliveries",
}


async def test_each_setting_says_how_long_its_own_kind_is_kept(database: Pool, settings: Settings) -> None:
    await database.execute(OLD)
    today = datetime.now(UTC).date()
    partitions = {f"events_{today - timedelta(days=days):%Y%m%d}": days for days in DAYS}
    for name, days in partitions.items():
        day = today - timedelta(days=days)
        await database.execute(
            f"CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ('{day} 00:00+00') "
            f"TO ('{day + timedelta(days=1)} 00:00+00')"
        )
    limits = {"idempotency_retention_days": 5, "contact_retention_days": 10, "event_retention_days": 20}
    await _keep_house(database, settings.model_copy(update=limits))

    left = {kind: sorted(int(row[0]) for row in await database.fetch(rows)) for kind, rows in LEFT.items()}
    assert left == {"idempotency": [4], "contacts": [4, 6, 9], "deliveries": [4, 6, 9, 11, 19]}
    tables = {row[0] for row in await database.fetch("SELECT relname FROM pg_class WHERE relname LIKE 'events_2%'")}
    assert sorted(days for name, days in partitions.items() if name in tables) == [4, 6, 9, 11, 19]
    assert await database.fetchval("SELECT array_agg(secret) FROM endpoint_secrets") == ["signs"]
