"""Claims on idempotency keys, made in the same commit as what they stand for."""

from collections.abc import Collection
from uuid import UUID

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from accounts.models import IdempotencyClaim
from wallet_project.utils.errors import Conflict, Refused


class IdempotencyKeyReused(Refused):
    code = "idempotency_key_reused"
    message = "This Idempotency-Key was used for another request. Send a new key with a new request."


class RequestInProgress(Conflict):
    code = "request_in_progress"
    message = (
        "The first request with this Idempotency-Key is still being worked on. Send the same request again shortly."
    )


def claim(*, principal_id: UUID, key: str, operation: str, request_hash: bytes, result_id: UUID) -> UUID | None:
    """Claim the key for `result_id`, or return what the same request made before.

    The first lock that a use case takes: while the first request is in flight, a second waits here for its end, up to
    the lock timeout. Raises IdempotencyKeyReused, RequestInProgress.
    """
    assert connection.in_atomic_block, "a claim belongs to the commit of what it stands for"
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id)
                VALUES (%s, %s, %s, %s, %s) ON CONFLICT (principal_id, key) DO NOTHING
                """,
                [principal_id, key, operation, request_hash, result_id],
            )
            if cursor.rowcount == 1:
                return None
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise RequestInProgress() from error
        raise
    return made_before(principal_id=principal_id, key=key, operation=operation, request_hash=request_hash)


def made_before(*, principal_id: UUID, key: str, operation: str, request_hash: bytes) -> UUID:
    """What the same request made with this key, which was used. Raises IdempotencyKeyReused."""
    earlier = IdempotencyClaim.objects.get(principal_id=principal_id, key=key)
    if earlier.operation != operation or bytes(earlier.request_hash) != request_hash:
        raise IdempotencyKeyReused()
    return earlier.result_id


def used(principal_id: UUID, keys: Collection[str]) -> set[str]:
    """Those of the keys with which a request has made something, so that sending it again makes nothing."""
    claims = IdempotencyClaim.objects.filter(principal_id=principal_id, key__in=keys)
    return set(claims.values_list("key", flat=True))
