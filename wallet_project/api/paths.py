"""Ids in paths: `<id:account_id>`."""

from typing import Final

from django.urls import register_converter
from django.urls.converters import UUIDConverter

NAME: Final = "id"


class IdConverter(UUIDConverter):
    """Django's own takes small letters alone. RFC 9562 says to read both, and Apple's UUIDs print capitals."""

    regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def install() -> None:
    """Called once, before any urls are read."""
    register_converter(IdConverter, NAME)
