"""Errors of the sync core: a small tree whose codes are stable; the HTTP status is a hint, as data."""

from typing import Any, ClassVar


class SyncError(Exception):
    """Base: something a caller must be told, with a stable code."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "", **extra: Any) -> None:  # JSON values of a problem document
        super().__init__(detail or (self.__doc__ or ""))
        self.detail = detail or (self.__doc__ or "").strip()
        self.extra = extra


class BadRequest(SyncError):
    """The request could not be understood."""

    code = "bad_request"
    status = 400


class BadCheckpoint(BadRequest):
    """The checkpoint does not have the shape this server hands out; start again with null."""

    code = "bad_checkpoint"


class BadLimit(BadRequest):
    """`limit` must be a whole number from 1 to 1000."""

    code = "bad_limit"


class ForeignCheckpoint(SyncError):
    """This checkpoint belongs to another district or another user."""

    code = "foreign_checkpoint"
    status = 409


class BatchTooLarge(SyncError):
    """The batch has too many rows or bytes; nothing was stored. Send it in smaller pieces."""

    code = "batch_too_large"
    status = 413


class NotFound(SyncError):
    """There is nothing here for you under this name."""

    code = "not_found"
    status = 404


class Forbidden(SyncError):
    """Your role does not allow this."""

    code = "forbidden"
    status = 403


class Conflict(SyncError):
    """This cannot be done now."""

    code = "conflict"
    status = 409


class ForeignEpoch(Conflict):
    """The server has been restored again since: begin again with what is to be pushed."""

    code = "foreign_epoch"


class Unprocessable(SyncError):
    """A value is missing or wrong."""

    code = "invalid"
    status = 422


class StoreUnavailable(SyncError):
    """The database cannot be reached or is full; nothing was stored. Try again in a moment."""

    code = "store_unavailable"
    status = 503


class StoreFailed(StoreUnavailable):
    """The disk did not take a commit in. Nothing more is written until the server has been started anew.

    What was acknowledged before is stored; what was not comes again from the phones.
    """

    code = "store_failed"


class KeyLost(SyncError):
    """A data key cannot be opened with the district's key."""

    code = "key_lost"
    status = 500
