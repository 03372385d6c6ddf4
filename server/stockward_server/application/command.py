"""A stock-changing command: what it must lock, and what it does once that is locked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from stockward_server.application.unit_of_work import Cause, Holder, PaymentKey, UnitOfWork
from stockward_server.domain.payment import TenderKey

Result = TypeVar("Result", covariant=True)


@dataclass(slots=True, kw_only=True)
class Command(ABC, Generic[Result]):
    """Runs inside a batch of the committer, and returns a Result.

    The collections name the rows to lock and read; the SKUs of named orders and reservations are added by themselves.
    """

    cause: Cause

    needs_locations: ClassVar[bool] = False
    """Whether it may make a stock row at a location that has none yet."""

    @property
    def skus(self) -> Collection[str]:
        return ()

    @property
    def order_ids(self) -> Collection[str]:
        return ()

    @property
    def reservation_ids(self) -> Collection[str]:
        return ()

    @property
    def payment_keys(self) -> Collection[PaymentKey]:
        return ()

    @property
    def tenders(self) -> Collection[TenderKey]:
        """Tenders whose order is looked up; no other command can be the first to use one until the transaction ends."""
        return ()

    @property
    def holders(self) -> Collection[Holder]:
        """Those whose holds are counted: until the end of the transaction nobody else makes one for them."""
        return ()

    @property
    def buyers(self) -> Collection[Holder]:
        """Those whose unpaid orders are counted: until the end of the transaction nobody else makes one for them."""
        return ()

    @property
    def weight(self) -> int:
        """Rows it touches, roughly: the measure of how much goes into one batch."""
        return 1

    @abstractmethod
    def execute(self, uow: UnitOfWork) -> Result:
        """Decides, saves into `uow` and returns the result; or raises a Refusal.

        `uow` is a scratch: what was saved into it before something was raised is dropped.
        """
