"""Calling the database's functions."""

from typing import Any
from uuid import UUID

from django.db import connection


def rows(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    """What a call returns; one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def units(sql: str, parameters: list[Any]) -> set[UUID]:
    return {row[0] for row in rows(sql, parameters)}
