"""Families of errors that a use case may raise, and the one place where the database's refusals become such errors.

An app declares a small class beside the use case, in one of the families below, with a stable `code` and a sentence
for the caller in `message`; what happened goes into `facts`. No class here knows HTTP: `wallet_project.api.problems`
maps a family to a status.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
from django.db import Error as DjangoDatabaseError
from django.db import InterfaceError, OperationalError


class DomainError(Exception):
    """A refusal with a meaning. `facts` are plain values (str, int, UUID, datetime, list, dict) that callers see."""

    code: ClassVar[str] = "domain_error"
    message: str = "The request cannot be carried out."
    #: What `facts` look like, for the API's document.
    example_facts: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        self.message = message or type(self).message
        self.facts: dict[str, Any] = facts
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class InvalidInput(DomainError):
    """What was sent cannot be understood. `fields` maps a field's name to what is wrong with it."""

    code = "invalid_input"
    message = "The request is not valid; see `errors`."

    def __init__(self, message: str | None = None, /, *, fields: dict[str, str] | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.fields = fields or {}


class Unauthenticated(DomainError):
    code = "not_authenticated"
    message = "Log in and send the session token in the X-Session-Token header."


class NotAllowed(DomainError):
    code = "not_allowed"
    message = "You may not do this."


class NotFound(DomainError):
    """Also raised for what belongs to somebody else: that it exists is nobody else's business."""

    code = "not_found"
    message = "There is nothing here, or it is not yours."


class Conflict(DomainError):
    """The request is fine, but not in the state that things are in now."""

    code = "conflict"
    message = "This is not possible in the present state."


class TooLarge(DomainError):
    code = "body_too_large"
    message = "The body is too large."


class Refused(DomainError):
    """Understood, and refused by a rule of the domain."""

    code = "refused"
    message = "The request was refused."


class TooMany(DomainError):
    """`retry_after` is in seconds."""

    code = "too_many_requests"
    message = "Too many requests; slow down."

    def __init__(self, message: str | None = None, /, *, retry_after: int | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """Nothing was done; the same request may be sent again after `retry_after` seconds."""

    code = "temporarily_unavailable"
    message = "The service cannot answer right now; send the same request again shortly."

    def __init__(self, message: str | None = None, /, *, retry_after: int | None = 1, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class TooBusy(Unavailable):
    code = "too_busy"
    message = "More requests are being worked on than can be; nothing was done. Send the same request again shortly."


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class DatabaseBusy(Unavailable):
    """A lock or statement timeout, a deadlock, a serialization failure: the database undid everything."""

    code = "database_busy"
    message = "Somebody else is working on the same thing; send the same request again shortly."


DomainErrorFactory = Callable[..., DomainError]

_by_constraint: dict[str, DomainErrorFactory] = {}
_by_sqlstate: dict[str, DomainErrorFactory] = {}

# Class 08 connection exceptions, class 53 insufficient resources, 57P0x the server goes away.
_UNAVAILABLE_STATES = ("08", "53", "57P01", "57P02", "57P03", "57P05")
# Serialization failure, deadlock, lock not available, query cancelled by timeout, idle/transaction timeout.
_BUSY_STATES = ("40001", "40P01", "55P03", "57014", "25P03", "25P04")


def on_constraint(name: str, error: DomainErrorFactory) -> None:
    """A violation of the constraint (or unique index) `name` means `error()`. Called when an app starts."""
    _register(_by_constraint, name, error)


def on_sqlstate(sqlstate: str, error: DomainErrorFactory) -> None:
    """Our functions raise SQLSTATEs 'WL…'; a DETAIL that is a JSON object becomes the error's facts."""
    if not (len(sqlstate) == 5 and sqlstate.startswith("WL")):
        raise ValueError(f"{sqlstate!r} is not one of our own SQLSTATEs (WL…, five characters)")
    _register(_by_sqlstate, sqlstate, error)


def _register(registry: dict[str, DomainErrorFactory], key: str, error: DomainErrorFactory) -> None:
    if registry.setdefault(key, error) is not error:
        raise ValueError(f"{key!r} already means {registry[key]!r}")


def translate_database_error(error: BaseException) -> DomainError | None:
    """The domain error that a refusal of the database stands for, or None when it has no meaning of its own."""
    refusal = _psycopg_error(error)
    if refusal is not None and refusal.sqlstate:
        return _from_sqlstate(refusal)
    # Without a SQLSTATE the server never answered: connection refused, timed out, or already closed.
    if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError | psycopg.InterfaceError):
        return DatabaseUnavailable()
    return None


def _psycopg_error(error: BaseException) -> psycopg.Error | None:
    if isinstance(error, psycopg.Error):
        return error
    # Django keeps the driver's error as the cause of its own.
    return error.__cause__ if isinstance(error.__cause__, psycopg.Error) else None


def _from_sqlstate(refusal: psycopg.Error) -> DomainError | None:
    sqlstate = refusal.sqlstate or ""
    if sqlstate in _by_sqlstate:
        return _by_sqlstate[sqlstate](**_facts(refusal.diag.message_detail))
    # A constraint's own DETAIL quotes the row, which may be personal: it is never passed on.
    if (constraint := refusal.diag.constraint_name) and constraint in _by_constraint:
        return _by_constraint[constraint]()
    if sqlstate.startswith(_BUSY_STATES):
        return DatabaseBusy()
    if sqlstate.startswith(_UNAVAILABLE_STATES):
        return DatabaseUnavailable()
    return None


def _facts(detail: str | None) -> dict[str, Any]:
    if not detail or not detail.startswith("{"):
        return {}
    try:
        facts = json.loads(detail)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


@contextmanager
def database_refusals() -> Iterator[None]:
    """Inside, a database error that has a meaning leaves as its domain error; any other leaves as it is."""
    try:
        yield
    except (DjangoDatabaseError, psycopg.Error) as error:
        meaning = translate_database_error(error)
        if meaning is None:
            raise
        raise meaning from error
