"""From a new product to the parcel, on the system that `make run` brought up in this directory."""

import json
import time
from pathlib import Path

from stockward_client import CreateOrderRequest, Order, Product, Stockward, Variant, eur

run = json.loads(Path(".stockward/run.json").read_text())
staff, shop = (Stockward(run["grpc"], run["keys"][role]) for role in ("pms", "storefront"))

tee = Variant(sku=f"TEE-{time.time_ns()}", price=eur("20.00"))
product = staff.catalog.create_product(product=Product(title="Tee", variants=[tee]))
staff.catalog.publish_product(product_id=product.product_id)
staff.inventory.adjust_stock(sku=tee.sku, delta=10, reason="received")

order = shop.orders.create_order(lines=[CreateOrderRequest.Line(sku=tee.sku, quantity=2)])
staff.orders.record_payment(
    order_id=order.order_id,
    provider="bank",
    provider_event_id=order.order_id,
    kind="captured",
    amount=order.totals.total,
)
staff.orders.process_order(order_id=order.order_id)
order = staff.orders.fulfill_order(order_id=order.order_id)
print(Order.State.Name(order.state), shop.inventory.get_availability(sku=tee.sku).available)
