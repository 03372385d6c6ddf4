"""URLs of PostgreSQL with one server or several, in both of libpq's forms."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from stockward_server.config.checks import check_database_url, crosses_a_network_unverified
from stockward_server.config.masking import masked_url
from stockward_server.runtime.database_url import Host, hosts_of, without_client_parameters

TWO = [Host("one", 5433), Host("two", 5434)]


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@one:5433,two:5434/shop", TWO),
        ("postgresql://u:p@/shop?host=one,two&port=5433,5434&target_session_attrs=read-write", TWO),
        ("postgresql://u:p@one,two/shop", [Host("one", 5432), Host("two", 5432)]),
        ("postgresql:///shop?host=one,two&port=6000", [Host("one", 6000), Host("two", 6000)]),
        ("postgresql://u@[::1]:5433/shop", [Host("::1", 5433)]),
        ("postgresql://u@%2Frun%2Fpg/shop", [Host("/run/pg", 5432)]),
        ("postgresql:///shop?host=/run/pg", [Host("/run/pg", 5432)]),
        ("postgresql:///shop", []),
    ],
)
def test_the_servers_of_a_url(url: str, hosts: list[Host]) -> None:
    assert hosts_of(url) == hosts
    assert check_database_url(SecretStr(url)).get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@one:port,two:5434/shop",
        "postgresql://u@one:0/shop",
        "postgresql://u@/shop?host=one,two,three&port=1,2",
        "postgresql://u@one,two/shop?target_session_attrs=standby",
        "postgresql://u@one,two/",
        "mysql://u@one,two/shop",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="several HOST:PORT"):
        check_database_url(SecretStr(url))


def test_parameters_for_clients_are_not_sent_to_postgresql() -> None:
    """It would refuse them as settings that it does not know."""
    url = "postgresql://u:p@one,two/shop?connect_timeout=3&sslmode=require&target_session_attrs=read-write"
    assert without_client_parameters(url) == "postgresql://u:p@one,two/shop?sslmode=require"


def test_a_masked_url_shows_its_servers() -> None:
    url = "postgresql://u:p@/shop?host=one,two&port=5433,5434&password=secret&target_session_attrs=read-write"
    shown = "postgresql://u:***@/shop?host=one,two&port=5433,5434&target_session_attrs=read-write"
    assert masked_url(url) == shown
    assert masked_url("postgresql://u:p@one:5433,two:5434/shop") == "postgresql://u:***@one:5433,two:5434/shop"


def test_every_server_counts_for_production() -> None:
    assert not crosses_a_network_unverified("postgresql://u@127.0.0.1:5433,localhost:5434/shop")
    assert crosses_a_network_unverified("postgresql://u@127.0.0.1:5433,db.example:5434/shop")
    assert not crosses_a_network_unverified("postgresql://u@/shop?host=db.example,two&sslmode=verify-full")
