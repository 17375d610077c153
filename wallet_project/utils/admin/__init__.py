"""Domain-free parts of the admin: pages nobody can write to, actions that go through a service, panels from above."""

from wallet_project.utils.admin.actions import (
    NoteForm,
    ReasonForm,
    StaffAction,
    StaffActionsMixin,
    StaffForm,
    answer_form,
    register_action,
)
from wallet_project.utils.admin.columns import badge, instant, link, link_to, money, named_values, short_id, table
from wallet_project.utils.admin.filters import CreatedFilter, CurrencyFilter
from wallet_project.utils.admin.inbound import InboundEventAdmin
from wallet_project.utils.admin.paging import BoundedPaginator
from wallet_project.utils.admin.panels import Panel, register_panel
from wallet_project.utils.admin.readonly import BigTableAdmin, ReadOnlyAdmin
from wallet_project.utils.admin.search import ExactSearchMixin

__all__ = [
    "BigTableAdmin",
    "BoundedPaginator",
    "CreatedFilter",
    "CurrencyFilter",
    "ExactSearchMixin",
    "InboundEventAdmin",
    "NoteForm",
    "Panel",
    "ReadOnlyAdmin",
    "ReasonForm",
    "StaffAction",
    "StaffActionsMixin",
    "StaffForm",
    "answer_form",
    "badge",
    "instant",
    "link",
    "link_to",
    "money",
    "named_values",
    "register_action",
    "register_panel",
    "short_id",
    "table",
]
