"""Levels of customers on their pages."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Customer
from accounts.staff import LOWER_LEVEL, staff_actor
from accounts.states import Level
from compliance.services.levels import lower_level
from wallet_project.utils.admin import StaffAction, register_action


def _lower(request: HttpRequest, customer: Customer, values: dict[str, Any]) -> str:
    lower_level(customer_id=customer.id, actor=staff_actor(request.user), reason=values["reason"], now=timezone.now())
    return "The customer has the basic level."


register_action(
    Customer,
    StaffAction(
        name="lower-level",
        label="Take back to the basic level",
        permission=LOWER_LEVEL,
        consequence="The limits of the basic level hold from now on; what was sent in the last 30 days counts. What "
        "is under way goes on. The customer sees his level, not who changed it or why, and may ask for the full level "
        "again.",
        perform=_lower,
        available=lambda request, row: hasattr(row, "level") and row.level.level == Level.FULL,
    ),
)
