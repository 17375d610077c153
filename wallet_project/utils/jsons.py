"""JSON as the database, and nobody else, reads it."""

from typing import Any

import orjson


def json_text(value: Any) -> str:
    """Ids and times as they are written anywhere, what else JSON does not know by its `str`."""
    return orjson.dumps(value, default=str).decode()
