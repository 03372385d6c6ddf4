"""Creates and updates locations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.stock import LocationRow
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import LocationTaken, LocationUnknown
from stockward_server.domain.etag import require_etag
from stockward_server.storage.database import Executor
from stockward_server.storage.write.mutation import Mutations


class SqlLocations:
    """The application's Locations on PostgreSQL."""

    def __init__(self, mutations: Mutations) -> None:
        self._mutations = mutations

    async def create(self, request: MutationContext, location: LocationRow, codec: ResponseCodec[LocationRow, M]) -> M:
        """Creates a location. Raises LocationTaken when the id is in use."""

        async def work(connection: Executor, state: UnitOfWork) -> LocationRow:
            created = replace(location, create_time=state.now)
            inserted = await connection.fetchval(
                """
                INSERT INTO locations (location_id, name, priority, active, create_time) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT DO NOTHING RETURNING true
                """,
                created.location_id,
                created.name,
                created.priority,
                created.active,
                created.create_time,
            )
            if not inserted:
                raise LocationTaken(location.location_id)
            return created

        return await self._mutations.run(request, work, codec)

    async def update(
        self,
        request: MutationContext,
        location: LocationRow,
        fields: Sequence[str],
        etag: str,
        codec: ResponseCodec[LocationRow, M],
    ) -> M:
        """Changes the named fields. Raises LocationUnknown, or EtagMismatch when the location has changed since the
        etag was read."""

        async def work(connection: Executor, state: UnitOfWork) -> LocationRow:
            row = await connection.fetchrow(
                """
                SELECT location_id, name, priority, active, create_time FROM locations
                WHERE location_id = $1 FOR NO KEY UPDATE
                """,
                location.location_id,
            )
            if row is None:
                raise LocationUnknown(location.location_id, "location.location_id")
            present = LocationRow(*row.values())
            require_etag(f"location {present.location_id}", present.etag, etag, location_id=present.location_id)
            changed = replace(present, **{name: getattr(location, name) for name in fields})
            await connection.execute(
                "UPDATE locations SET name = $2, priority = $3, active = $4 WHERE location_id = $1",
                changed.location_id,
                changed.name,
                changed.priority,
                changed.active,
            )
            return changed

        return await self._mutations.run(request, work, codec)
