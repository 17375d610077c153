"""What a model's column can hold, for whoever takes in what goes there: said once, in the model."""

from django.db import models


def longest_text(model: type[models.Model], field: str) -> int:
    """How many characters the text column takes."""
    length = next(column.max_length for column in model._meta.concrete_fields if column.name == field)
    assert length is not None, "a field that is not text"
    return length
