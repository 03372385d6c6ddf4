"""The keys that a read names, so that one plan serves every call.

With `= ANY($1)` PostgreSQL plans for the number of keys in this call, finds that cheaper than a plan for any number,
and so makes a plan for each call, which takes several times as long as the read. Of what a subquery returns it does not
know the number.
"""

ANY_ID = "ANY((SELECT $1::uuid[])::uuid[])"
"""Any of the UUIDs in $1."""

ANY_TEXT = "ANY((SELECT $1::text[])::text[])"
"""Any of the texts in $1."""
