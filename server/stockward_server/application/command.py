"""A stock-changing command: the rows it locks, and its effect once they are locked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from stockward_server.application.unit_of_work import Cause, Holder, PaymentKey, UnitOfWork
from stockward_server.domain.hold_limits import HoldLimits
from stockward_server.domain.payment import TenderKey
from stockward_server.domain.unpaid_limits import UnpaidLimits

Result = TypeVar("Result", covariant=True)


@dataclass(slots=True, kw_only=True)
class Command(ABC, Generic[Result]):
    """Runs inside a batch of the committer and returns a Result.

    The collections name the rows to lock and read; the SKUs of named orders and reservations are added automatically.
    """

    cause: Cause

    needs_locations: ClassVar[bool] = False
    """Whether it may insert a stock row at a location that has none yet."""

    @property
    def optimistic(self) -> bool:
        """Whether it can be decided on remembered rows of its SKUs, before they are locked. Its result must depend on
        nothing else; where that does not do, it must be refused."""
        return False

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
        """Tenders whose order is looked up; until the transaction ends no other command can use one first."""
        return ()

    @property
    def references(self) -> Collection[str]:
        """References that must be unique: the orders that have them are looked up, and until the transaction ends no
        other command uses them. The result must not depend on the orders, other than by a refusal."""
        return ()

    @property
    def holders(self) -> Mapping[Holder, HoldLimits]:
        """Holders whose holds are counted, with their limits: until the transaction ends no other command creates a
        hold for them. The result must not depend on the count, other than by a refusal."""
        return {}

    @property
    def buyers(self) -> Mapping[Holder, UnpaidLimits]:
        """Buyers whose unpaid orders are counted, as those of `holders` are."""
        return {}

    @property
    def weight(self) -> int:
        """Approximate number of rows that it touches, which limits the size of a batch."""
        return 1

    @abstractmethod
    def execute(self, uow: UnitOfWork) -> Result:
        """Decides, saves into `uow` and returns the result; raises a Refusal otherwise.

        `uow` is a scratch: what was saved before an error is dropped.
        """
