"""One shop for all tests of bad input, which nothing that they do changes, and the contract as it is compiled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from stockward_dev import Nats, Postgres
from stockward_server.config import Settings
from tests.conftest import TEMPLATE
from tests.issuer import AUDIENCE, ISSUER, Issuer
from tests.known_shop import Known, arrange
from tests.shop import running_shop
from tools import contract


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """Whose tokens the shop takes, beside keys."""
    issuer = Issuer()
    issuer.add("key", "EdDSA")
    return issuer


@pytest.fixture(scope="session")
async def known(
    postgres: Postgres, nats: Nats, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Known]:
    """A shop with something in every state."""
    key_set = tmp_path_factory.mktemp("issuer") / "keys.json"
    key_set.write_text(json.dumps(issuer.key_set()))
    settings = Settings.model_validate(
        {
            "database_url": await postgres.create_database("known_shop", template=TEMPLATE),
            "event_queue_url": nats.url,
            "sweep_interval_seconds": 0.05,
            "jwks_file": key_set,
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
        }
    )
    async with running_shop(settings) as shop:
        yield await arrange(shop)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    """Our files of the contract, compiled with their comments."""
    image = Path(tmp_path_factory.mktemp("contract")) / "image.binpb"
    contract.compile_image(contract.PROTO, image)
    compiled = FileDescriptorSet.FromString(image.read_bytes())
    return [file for file in compiled.file if file.name.startswith("stockward/")]
