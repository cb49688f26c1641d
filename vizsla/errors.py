"""Every error that Vizsla raises on purpose.

::

    VizslaError                      500  exit 1
    |- UsageError                    400  exit 2   the caller's argument is wrong
    |  |- InvalidRequestError        422  exit 2   a request field is wrong; carries where
    |  |  |- MalformedBodyError      400  exit 2   the body is not JSON at all
    |  |  `- EventReusedError        409  exit 2   send another change under another event_id
    |  |- PayloadTooLargeError       413  exit 2   send less at once
    |  |- UnsupportedMediaTypeError  415  exit 2   send JSON, and say so
    |  |- MethodNotAllowedError      405  exit 2   use the method the route has
    |  `- UnknownNameError           400  exit 2   no such model, recipe, dataset, ...
    |- NotFoundError                 404  exit 5   no such item, user, bundle, file
    |- ConfigError                   500  exit 3   fix the settings
    |- DataError                     422  exit 1   fix the data file; names file and line
    |- ArtifactError                 503  exit 1   a bundle or index cannot be used
    |  |- CorruptArtifactError       503  exit 1   copy or build it again
    |  |- IncompatibleArtifactError  503  exit 1   parts or versions do not belong together
    |  `- NotPublishableError        409  exit 1   train better, or use --force
    |- TrainingError                 500  exit 1   training diverged; last good checkpoint named
    |- OverloadedError               503  exit 1   retry after a while
    |- LogUnavailableError           503  exit 1   the change was not taken; retry, or mend the log
    |  `- LogMovedError              503  exit 1   others wrote first: read what they wrote and retry
    |- DeadlineError                 504  exit 1   nothing could be computed in time
    `- ContractError                 500  exit 1   our own seam was violated: a bug

Each class has one recovery action.  All arguments go to ``super().__init__`` so
that an error survives the way between processes.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

__all__ = [
    "ArtifactError",
    "ConfigError",
    "ContractError",
    "CorruptArtifactError",
    "DataError",
    "DeadlineError",
    "EventReusedError",
    "FieldProblem",
    "IncompatibleArtifactError",
    "InvalidRequestError",
    "LogMovedError",
    "LogUnavailableError",
    "MalformedBodyError",
    "MethodNotAllowedError",
    "NotFoundError",
    "NotPublishableError",
    "OverloadedError",
    "PayloadTooLargeError",
    "TrainingError",
    "UnknownNameError",
    "UnsupportedMediaTypeError",
    "UsageError",
    "VizslaError",
]


class FieldProblem(NamedTuple):
    """One wrong field of a request: where it is, and what is wrong with it.

    ``pointer`` is a JSON pointer into the body (RFC 6901), or the name of the header,
    path or query parameter that ``location`` says.
    """

    pointer: str
    detail: str
    location: Literal["body", "header", "path", "query"] = "body"


class VizslaError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` is one line for the user."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    slug: ClassVar[str] = "internal"


class UsageError(VizslaError):
    """An argument is wrong; the message names it and says what is allowed."""

    status = 400
    exit_code = 2
    slug = "invalid-request"


class InvalidRequestError(UsageError):
    """A request was refused; ``problems`` names every wrong field."""

    status = 422

    def __init__(self, message: str, problems: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(message, problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.args[0])


class MalformedBodyError(InvalidRequestError):
    """The body is not JSON; the message says at which place."""

    status = 400


class EventReusedError(InvalidRequestError):
    """An ``event_id`` is taken by another change; send this one under an id of its own."""

    status = 409


class PayloadTooLargeError(UsageError):
    """The body is larger than the server reads; send less at once."""

    status = 413
    slug = "payload-too-large"


class UnsupportedMediaTypeError(UsageError):
    """The body is of a type the route does not read."""

    status = 415
    slug = "unsupported-media-type"


class MethodNotAllowedError(UsageError):
    """The route exists, the method does not."""

    status = 405
    slug = "method-not-allowed"


class UnknownNameError(UsageError):
    """No such registered name; the message lists the known ones."""

    slug = "unknown-name"


class NotFoundError(VizslaError):
    """The named item, user, bundle or file does not exist."""

    status = 404
    exit_code = 5
    slug = "not-found"


class ConfigError(VizslaError):
    """A setting is unknown or has a wrong value; the message names it and its origin."""

    exit_code = 3
    slug = "config"


class DataError(VizslaError):
    """A data file cannot be used; the message names the file, and the line or column."""

    status = 422
    slug = "invalid-data"


class ArtifactError(VizslaError):
    """A bundle or an index cannot be used; the message names the file."""

    status = 503
    slug = "model-unavailable"


class CorruptArtifactError(ArtifactError):
    """A file is missing or its content is not what the manifest says."""


class IncompatibleArtifactError(ArtifactError):
    """Parts of different origin or an unknown format version."""


class NotPublishableError(ArtifactError):
    """The bundle did not pass the publish gate and ``--force`` was not given."""

    status = 409
    slug = "not-publishable"


class TrainingError(VizslaError):
    """Training cannot go on; the message names the last good checkpoint."""

    slug = "training"


class OverloadedError(VizslaError):
    """Too many requests in flight; retry later."""

    status = 503
    slug = "overloaded"


class LogUnavailableError(VizslaError):
    """The event log cannot be written or read now; nothing was acknowledged."""

    status = 503
    slug = "log-unavailable"


class LogMovedError(LogUnavailableError):
    """Others appended to the event log first; nothing was written."""


class DeadlineError(VizslaError):
    """Nothing at all could be computed before the deadline."""

    status = 504
    slug = "deadline-exceeded"


class ContractError(VizslaError):
    """Code on one side of a seam broke its contract; always a bug, ours or a plug-in's."""

    slug = "contract"
