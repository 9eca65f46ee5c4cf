"""The embedded store: a SQLite file in the data directory, without another service. See docs/design/0027."""

from metricat_hub.store.embedded.settings import Settings
from metricat_hub.store.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore", "Settings"]
