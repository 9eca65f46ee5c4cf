"""Errors that users see. Each message contains the cause with the value, and a remedy."""


class HubError(Exception):
    """Base of all errors with a message for users."""


class StoreUnavailableError(HubError):
    """The store cannot accept or return samples now, for example because the disk is full. A retry can succeed."""


class SeriesRemovedError(StoreUnavailableError):
    """The store repeatedly removed the series of samples before it stored the samples. A retry can succeed."""

    def __init__(self) -> None:
        super().__init__("the store removes series while it writes their samples. Send the samples again.")


class OverloadedError(StoreUnavailableError):
    """Too many queries wait. The client should retry after `seconds`."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class AccessUnavailableError(HubError):
    """A service that access control needs does not respond, so the hub grants no access. A retry can succeed."""


class ReadOnlyStoreError(HubError):
    """The store accepts no samples, because it is configured as read-only."""


class StoreLockedError(HubError):
    """Another process has the store open. The message identifies the process."""


class LimitError(HubError):
    """A query exceeds a limit, for example of samples, series, steps, time, memory or length."""


class QueryError(HubError):
    """A query is not valid, fails, or uses an unsupported feature. The message contains the cause."""


class InvalidQueryError(QueryError):
    """A query is not valid PromQL, or its parameters are not valid."""


class UnsupportedQueryError(QueryError):
    """A query uses a valid part of PromQL that the hub does not support."""


class QueryTimeoutError(HubError):
    """A query took longer than its timeout."""


class QueryCanceledError(HubError):
    """A query was canceled, because its client closed the connection or the hub stops."""


class InvalidParameterError(HubError):
    """A parameter of a request is not valid. The message contains its name."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"invalid parameter {parameter}: {why}")
        self.parameter = parameter


class UnknownMetricError(HubError):
    """A name is neither a measure nor the name of stored series."""
