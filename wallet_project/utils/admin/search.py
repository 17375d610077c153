"""Search that an index answers: whole ids, whole keys, the beginning of an e-mail address. Never ILIKE '%…%'."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest


class ExactSearchMixin:
    """Each name is a lookup that has an index of its own; what the term looks like decides which are asked."""

    #: For a term that is a UUID.
    search_ids: tuple[str, ...] = ("id",)
    #: For a term with an @, lower-cased; give `…__startswith` where there is an index for prefixes.
    search_emails: tuple[str, ...] = ()
    #: For any other term, beside the prefixes above.
    search_texts: tuple[str, ...] = ()
    #: Django shows the search box when this is not empty; it is not what is searched.
    search_fields = ("id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip().replace("\x00", "")
        if not term:
            return queryset, False
        condition = self.condition(term)
        return (queryset.filter(condition) if condition else queryset.none()), False

    def condition(self, term: str) -> Q:
        """What the rows must fulfil; an empty Q when a term of this form finds nothing here."""
        if (identity := _as_uuid(term)) is not None:
            return self.id_condition(identity)
        if "@" in term:
            return self.email_condition(term.lower())
        # A text, or an address of which not even the @ has been typed.
        beginnings = tuple(name for name in self.search_emails if name.endswith("__startswith"))
        return _any_of(self.search_texts, term) | _any_of(beginnings, term.lower())

    def id_condition(self, identity: UUID) -> Q:
        return _any_of(self.search_ids, identity)

    def email_condition(self, email: str) -> Q:
        return _any_of(self.search_emails, email)


def _any_of(lookups: tuple[str, ...], value: Any) -> Q:
    condition = Q()
    for lookup in lookups:
        condition |= Q(**{lookup: value})
    return condition


def _as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
