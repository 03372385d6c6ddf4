"""Stockward from Python: typed calls, errors to catch by name, events and webhooks.

    with Stockward("127.0.0.1:50051", key) as client:
        order = client.orders.create_order(lines=[CreateOrderRequest.Line(sku="TEE-L", quantity=2)])
        client.inventory.adjust_stock(sku="TEE-L", delta=10, reason="received")

`AsyncStockward` is the same for asyncio; `stockward_client.events` subscribes to events over NATS. All messages of the
contract can be imported from here; they are those of the generated package `stockward`.
"""

from stockward_client import errors, messages, reasons
from stockward_client.aio_calls import AsyncPages
from stockward_client.calls import Pages
from stockward_client.client import AsyncStockward, Stockward
from stockward_client.errors import *  # noqa: F403
from stockward_client.messages import *  # noqa: F403
from stockward_client.money import eur, money, to_decimal
from stockward_client.reasons import *  # noqa: F403
from stockward_client.status import error_of
from stockward_client.webhook import verify_webhook

__all__ = ["AsyncPages", "AsyncStockward", "Pages", "Stockward", "error_of", "verify_webhook"]
__all__ += ["eur", "money", "to_decimal"]
__all__ += errors.__all__
__all__ += messages.__all__
__all__ += reasons.__all__
