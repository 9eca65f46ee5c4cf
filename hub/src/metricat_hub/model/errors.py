"""Errors that users see. Each message says what is wrong, with the value, and what to do."""


class HubError(Exception):
    """Base of all errors with a message for users."""


class StoreUnavailableError(HubError):
    """The store cannot accept samples or return them now, for example because the disk is full. Retry later."""


class SeriesRemovedError(StoreUnavailableError):
    """The store removed the series of samples again and again while they were written. Retry later."""

    def __init__(self) -> None:
        super().__init__("the store removes series while they are written. Send the samples again.")


class OverloadedError(StoreUnavailableError):
    """Too many queries wait. Retry after `seconds`."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class AccessUnavailableError(HubError):
    """The service that decides about access does not respond. No access is given. Retry later."""


class ReadOnlyStoreError(HubError):
    """The store accepts no samples, because it is set up for reading only."""


class StoreLockedError(HubError):
    """Another process has the data directory open. The message has its process ID."""


class LimitError(HubError):
    """A query exceeds a limit of samples, series, steps or seconds."""


class QueryError(HubError):
    """A query is not valid, or uses something that is not supported. The message names it."""


class InvalidQueryError(QueryError):
    """A query is not valid PromQL, or its parameters are not valid."""


class UnsupportedQueryError(QueryError):
    """A query uses a valid part of PromQL that the hub does not support."""


class QueryTimeoutError(HubError):
    """A query took longer than its timeout."""


class QueryCanceledError(HubError):
    """A query was canceled, because its client closed the connection or the hub stops."""


class InvalidParameterError(HubError):
    """A parameter of a request is not valid. The message names it."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"invalid parameter {parameter}: {why}")
        self.parameter = parameter


class UnknownMetricError(HubError):
    """A name is neither a measure nor the name of stored series."""
