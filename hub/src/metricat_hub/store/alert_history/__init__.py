"""The alert history in SQL: SQLite in the data directory, or PostgreSQL. See docs/design/0042.

`postgresql` imports psycopg, an optional library, so only `metricat_hub.wiring.alert_history` imports it.
"""

from metricat_hub.store.alert_history.event_queue import EventQueue
from metricat_hub.store.alert_history.history import SqlHistory
from metricat_hub.store.alert_history.sqlite import open_sqlite

__all__ = ["EventQueue", "SqlHistory", "open_sqlite"]
