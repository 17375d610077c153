"""What a model's columns can hold: said once, in the model, also for whoever takes in what goes there."""

from django.db import models
from django.db.models import Q


def longest_text(model: type[models.Model], field: str) -> int:
    """How many characters the text column takes."""
    length = next(column.max_length for column in model._meta.concrete_fields if column.name == field)
    assert length is not None, "a field that is not text"
    return length


def one_of(*columns: str) -> Q:
    """For a CHECK: exactly one of the columns is filled."""
    condition = Q()
    for chosen in columns:
        condition |= Q(**{f"{column}__isnull": column != chosen for column in columns})
    return condition
