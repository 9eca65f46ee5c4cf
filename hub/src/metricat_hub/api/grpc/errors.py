"""Errors as gRPC statuses with details (google.rpc.Status): the reason, the invalid field, and when to retry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.api.collect import TooManyBatchesError
from metricat_hub.model.alert_rules import RuleConflictError, RuleNotFoundError, StaleRuleError
from metricat_hub.model.errors import (
    HubError,
    InvalidParameterError,
    InvalidQueryError,
    LimitError,
    OverloadedError,
    QueryCanceledError,
    QueryTimeoutError,
    StoreUnavailableError,
    UnknownMetricError,
    UnsupportedQueryError,
)
from metricat_hub.sources.write.errors import DecodeError
from metricat_hub.use_cases.collect import SequenceConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

_CODES: tuple[tuple[type[HubError], grpc.StatusCode], ...] = (
    (AuthenticationError, grpc.StatusCode.UNAUTHENTICATED),
    (PermissionDeniedError, grpc.StatusCode.PERMISSION_DENIED),
    (InvalidParameterError, grpc.StatusCode.INVALID_ARGUMENT),
    (InvalidQueryError, grpc.StatusCode.INVALID_ARGUMENT),
    (UnsupportedQueryError, grpc.StatusCode.INVALID_ARGUMENT),
    (DecodeError, grpc.StatusCode.INVALID_ARGUMENT),
    (UnknownMetricError, grpc.StatusCode.NOT_FOUND),
    (RuleNotFoundError, grpc.StatusCode.NOT_FOUND),
    (RuleConflictError, grpc.StatusCode.FAILED_PRECONDITION),
    (StaleRuleError, grpc.StatusCode.ABORTED),
    (SequenceConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (LimitError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TooManyBatchesError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (StoreUnavailableError, grpc.StatusCode.UNAVAILABLE),
    (QueryTimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (QueryCanceledError, grpc.StatusCode.CANCELLED),
)
_DETAILS = "grpc-status-details-bin"
_DOMAIN = "metricat"
_MOST_TEXT = 2_000
"""The most characters of a message. Clients limit the size of all metadata to 8 KiB."""


class TooManyRequestsError(TooManyBatchesError):
    """A client is above its rate limit."""


async def abort(context: grpc.aio.ServicerContext[object, object], error: HubError) -> NoReturn:
    """End the call with the status of an error."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    text = str(error)[:_MOST_TEXT]
    status = Status(code=Code.Value(code.name), message=text)
    for detail in _details(error):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    await context.abort(code, text, ((_DETAILS, status.SerializeToString()),))
    raise AssertionError("abort always raises an error")


def _details(error: HubError) -> Iterator[Message]:
    name = type(error).__name__.removesuffix("Error")
    yield ErrorInfo(reason=re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper(), domain=_DOMAIN)
    if isinstance(error, InvalidParameterError):
        violation = BadRequest.FieldViolation(field=error.parameter, description=str(error))
        yield BadRequest(field_violations=[violation])
    seconds = error.seconds if isinstance(error, (TooManyBatchesError, OverloadedError)) else 5
    if isinstance(error, (TooManyBatchesError, StoreUnavailableError)):
        found = RetryInfo()
        found.retry_delay.FromSeconds(seconds)
        yield found
