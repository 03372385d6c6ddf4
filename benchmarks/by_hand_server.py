"""What one would write by hand: a grpc.aio servicer that calls one SQL function an order, without batches.

`python -m benchmarks.by_hand_server HOST:PORT DATABASE_URL`. An order is as durable and as idempotent as Stockward's
and writes the same rows, with a request_id, ledger, events and outbox. There is no authentication, validation or price.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncpg
import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from stockward.order.v1 import order_pb2

from benchmarks.calls import CREATE_ORDER
from stockward_server.domain.identifiers import new_id

POOL_SIZE = 10

PLACE_ORDER = """
    CREATE OR REPLACE FUNCTION place_order(
        request uuid, wanted text, units bigint, new_order uuid, event_ids uuid[], answer bytea
    ) RETURNS bytea LANGUAGE plpgsql AS $$
    DECLARE
        stored bytea;
        had stock;
    BEGIN
        PERFORM pg_current_xact_id();
        INSERT INTO idempotency VALUES ('by hand', request, 'CreateOrder', '', answer, now()) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT response INTO stored FROM idempotency WHERE actor = 'by hand' AND request_id = request;
            RETURN stored;
        END IF;
        SELECT * INTO had FROM stock WHERE sku = wanted AND location_id = 'main' FOR NO KEY UPDATE;
        IF had.on_hand - had.reserved - had.allocated < units THEN
            RAISE EXCEPTION 'sold out';
        END IF;
        UPDATE stock SET allocated = allocated + units, version = version + 1, update_time = now()
        WHERE sku = wanted AND location_id = 'main';
        INSERT INTO orders (order_id, state, currency, payment_terms, customer_id, reference, create_time, update_time,
                            version)
        VALUES (new_order, 1, 'EUR', 1, '', '', now(), now(), 1);
        INSERT INTO order_lines (order_id, line_number, sku, title, quantity, unit_price, price_override_reason)
        VALUES (new_order, 1, wanted, 'Product', units, 1990, '');
        INSERT INTO allocations VALUES (new_order, 1, 'main', wanted, units);
        INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                               reserved, allocated, reference, note, actor, create_time)
        VALUES (wanted, 'main', 5, 0, 0, 0, units, had.on_hand, had.reserved, had.allocated + units, new_order, '',
                'by hand', now());
        WITH recorded AS (
            INSERT INTO events (create_time, event_id, type, aggregate_type, aggregate_id, aggregate_version, payload)
            VALUES (now(), event_ids[1], 'order.created', 'order', new_order::text, 1, answer),
                   (now(), event_ids[2], 'stock.changed', 'stock', wanted || '@main', had.version + 1, answer)
            RETURNING seq
        )
        INSERT INTO outbox (seq, shard, create_time) SELECT seq, 0, now() FROM recorded;
        RETURN answer;
    END $$
"""


async def main(address: str, database_url: str) -> None:
    pool = await asyncpg.create_pool(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE)
    await pool.execute(PLACE_ORDER)

    async def create(request: Any, context: Any) -> Any:
        (line,) = request.lines
        order = order_pb2.Order(order_id=new_id(), state=order_pb2.Order.STATE_PENDING)
        order.lines.add(line_number=1, sku=line.sku, quantity=line.quantity)
        events = [new_id(), new_id()]
        arguments = (request.request_id, line.sku, line.quantity, order.order_id, events, order.SerializeToString())
        return order_pb2.Order.FromString(await pool.fetchval("SELECT place_order($1, $2, $3, $4, $5, $6)", *arguments))

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    _, service, name = CREATE_ORDER.path.split("/")
    handler = grpc.unary_unary_rpc_method_handler(
        create,
        request_deserializer=CREATE_ORDER.request.FromString,
        response_serializer=CREATE_ORDER.response.SerializeToString,
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    server.add_insecure_port(address)
    await server.start()
    await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    await asyncio.Event().wait()


uvloop.run(main(*sys.argv[1:]))
