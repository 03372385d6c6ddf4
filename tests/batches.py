"""How many rows each statement deletes, noted by the database itself."""

from __future__ import annotations

from stockward_server.storage.database import Pool


async def note_batches(pool: Pool, table: str) -> None:
    """From now on, what is deleted from the table."""
    await pool.execute(
        f"""
        CREATE TABLE deleted (number int GENERATED ALWAYS AS IDENTITY, count int);
        CREATE FUNCTION note_deleted() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO deleted (count) SELECT count(*) FROM gone HAVING count(*) > 0; RETURN NULL; END';
        CREATE TRIGGER note_deleted AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION note_deleted();
        """
    )


async def batches(pool: Pool) -> list[int]:
    """Rows of each statement that deleted any, in order."""
    return [row["count"] for row in await pool.fetch("SELECT count FROM deleted ORDER BY number")]
