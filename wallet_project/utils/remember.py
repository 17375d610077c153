"""Answers that change rarely, kept in Redis for a short while, and never served once they are known to be old.

A slow reader must not bring back what was forgotten meanwhile: each subject has a generation, which changes after the
commit that changed the subject, and an entry of another generation is not believed. Redis may vanish at any moment:
then every answer comes from `load`, and what Redis could not be told of ends with the entry's short life.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final, cast
from uuid import UUID

from django.db import transaction

from wallet_project.utils import volatile

JsonObject = dict[str, Any]

#: How long an answer is believed.
ENTRY_SECONDS: Final = 30
# Longer than any entry, and than any request in flight that might still write one.
_GENERATION_SECONDS: Final = 120
_FIRST_GENERATION: Final = ""


def remembered(topic: str, subject: UUID, load: Callable[[], JsonObject]) -> JsonObject:
    """What `load` gives (a JSON object) for the subject, from Redis when it is there. Raises what `load` raises."""
    entry_key, generation_key = _keys(topic, subject)
    found = volatile.fetch(entry_key, generation_key)
    if found is None:
        return load()
    generation = found.get(generation_key, _FIRST_GENERATION)
    match found.get(entry_key):
        case [written_in, dict(answer)] if written_in == generation:
            return cast(JsonObject, answer)
    # The generation was read before the rows are: what changes from here on makes this entry old.
    answer = load()
    volatile.put(entry_key, [generation, answer], seconds=ENTRY_SECONDS)
    return answer


def forget(topic: str, subject: UUID) -> None:
    """Once what is open here has committed, believe nothing older about the subject."""
    _, generation_key = _keys(topic, subject)
    generation = secrets.token_hex(8)
    # Insisting: while Redis is away for this process, others may go on serving what it still remembers.
    transaction.on_commit(
        lambda: volatile.overwrite(generation_key, generation, seconds=_GENERATION_SECONDS), robust=True
    )


def _keys(topic: str, subject: UUID) -> tuple[str, str]:
    return f"remember:{topic}:{subject}", f"remember:{topic}:{subject}:generation"
