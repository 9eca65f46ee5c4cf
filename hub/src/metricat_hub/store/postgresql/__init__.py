"""PostgreSQL 15 or later as a store, plain or with TimescaleDB. See docs/design/0036.

Only `metricat_hub.store.opening` imports this package, because it imports psycopg, an optional library.
"""

from metricat_hub.store.postgresql.store import PostgresStore

__all__ = ["PostgresStore"]
