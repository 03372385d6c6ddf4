"""What callers get for the errors of PostgreSQL that are not their fault."""

from __future__ import annotations

import logging

import asyncpg
import pytest

from stockward_server.domain.errors import Code, DatabaseUnavailable
from stockward_server.runtime.repeated_log import RepeatedLog
from stockward_server.storage.cluster import FormerPrimary
from stockward_server.storage.connection import CommitUnconfirmed
from stockward_server.storage.database import is_database_down, is_refusing, refusal_of
from stockward_server.storage.log_epoch import OnStandby


@pytest.mark.parametrize(
    ("error", "words", "refusing"),
    [
        (asyncpg.DiskFullError, "disk of the database is full", True),
        (asyncpg.OutOfMemoryError, "lacks resources", True),
        (asyncpg.PostgresIOError, "lacks resources or has errors", True),
        (asyncpg.UndefinedFileError, "lacks resources or has errors", True),
        (asyncpg.ReadOnlySQLTransactionError, "takes no changes", True),
        (asyncpg.TooManyConnectionsError, "cannot be reached", False),
        (asyncpg.AdminShutdownError, "cannot be reached", False),
        (asyncpg.ConnectionDoesNotExistError, "cannot be reached", False),
        (ConnectionResetError, "cannot be reached", False),
        (CommitUnconfirmed, "cannot be reached", False),
    ],
)
def test_each_is_unavailable_with_a_reason_in_words(error: type[Exception], words: str, refusing: bool) -> None:
    refusal = refusal_of(error("from PostgreSQL"))
    assert isinstance(refusal, DatabaseUnavailable)
    assert refusal.code is Code.UNAVAILABLE
    assert words in str(refusal)
    assert refusal.retry_after
    assert is_database_down(error("from PostgreSQL"))
    assert is_refusing(error("from PostgreSQL")) == refusing


@pytest.mark.parametrize("error", [OnStandby, FormerPrimary])
def test_a_server_that_is_not_the_primary_takes_no_changes(error: type[Exception]) -> None:
    assert "takes no changes" in str(refusal_of(error()))
    assert is_database_down(error())


def test_what_repeats_is_logged_seldom_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    repeated = RepeatedLog(logging.getLogger("test"), lambda: now)
    for second in range(12):
        now = 100.0 + second
        repeated.warning("batch of %d failed", second)
        repeated.warning("another kind")
    assert [message for message in caplog.messages if "batch" in message] == [
        "batch of 0 failed",
        "batch of 5 failed (and 4 like it)",
        "batch of 10 failed (and 4 like it)",
    ]
