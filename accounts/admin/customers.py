"""Customers and what they said about themselves."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts import staff
from accounts.admin.history import StateChangeAdmin, history_panel
from accounts.handles import folded
from accounts.models import Account, Beneficiary, Customer, Handle, ProfileVersion, StateChange
from accounts.selectors import handle_of
from accounts.services.customers import restart_verification
from accounts.states import KycStatus
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    Panel,
    StaffAction,
    StaffActionsMixin,
    badge,
    instant,
    link,
    link_to,
    money,
    named_values,
    register_panel,
    table,
)

SHOWN = 50


def _restart_verification(request: HttpRequest, customer: Customer, values: dict[str, Any]) -> str:
    restart_verification(
        customer_id=customer.id,
        actor=staff.staff_actor(request.user),
        reason=values["reason"],
    )
    return "The identity is being checked again."


@admin.register(Customer)
class CustomerAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "One person, however many accounts. Identity is checked once for all of them."
    list_display = ["name", "email", "identity", "created"]
    list_filter = ["kyc_status", CreatedFilter]
    search_ids = ("id", "user_id")
    search_emails = ("user__email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole customer or user id, or a handle"
    fields = [
        "id",
        "user_link",
        "handle",
        "identity",
        "kyc_reason",
        "level_name",
        "profile_link",
        "verified_profile_link",
        "verified_until",
        "created_at",
    ]
    staff_actions = (
        StaffAction(
            name="restart-verification",
            label="Check identity again",
            permission=staff.RESTART_VERIFICATION,
            consequence="A new identity check of the current profile starts at once. Open accounts go on working "
            "meanwhile; accounts requested meanwhile wait for its result.",
            perform=_restart_verification,
            available=lambda request, row: row.profile_id is not None and row.kyc_status != KycStatus.PENDING,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        rows: QuerySet[Customer] = super().get_queryset(request)
        return rows.select_related("user", "profile", "verified_profile", "level").order_by("-id")

    def condition(self, term: str) -> Q:
        # Also one that was given up: who had it is what somebody asks who was paid by it.
        handle = folded(term)
        had = Q(pk__in=Handle.objects.filter(handle=handle).values("customer_id")) if handle else Q()
        return super().condition(term) | had

    def action_summary(self, request: HttpRequest, row: Customer) -> list[tuple[str, Any]]:
        return [("Customer", link_to(row)), ("E-mail", row.user.email), ("Identity", badge(row.kyc_status))]

    @admin.display(description="name")
    def name(self, row: Customer) -> str:
        return f"{row.profile.first_name} {row.profile.last_name}" if row.profile else "no profile yet"

    @admin.display(description="e-mail")
    def email(self, row: Customer) -> str:
        return row.user.email

    @admin.display(description="identity")
    def identity(self, row: Customer) -> str:
        return badge(row.kyc_status)

    @admin.display(description="level")
    def level_name(self, row: Customer) -> str:
        return badge(row.level.level) if hasattr(row, "level") else "–"

    @admin.display(description="created (UTC)")
    def created(self, row: Customer) -> str:
        return instant(row.created_at)

    @admin.display(description="login")
    def user_link(self, row: Customer) -> str:
        return link_to(row.user)

    @admin.display(description="current profile")
    def profile_link(self, row: Customer) -> str:
        return link_to(row.profile)

    @admin.display(description="handle")
    def handle(self, row: Customer) -> str:
        held = handle_of(row.id)
        return str(held) if held else "–"

    @admin.display(description="last verified profile")
    def verified_profile_link(self, row: Customer) -> str:
        return link_to(row.verified_profile)


@admin.register(ProfileVersion)
class ProfileVersionAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "What a customer said about himself at one time. Never changed, only followed by the next version."
    list_display = ["__str__", "customer_link", "country", "created"]
    list_filter = [CreatedFilter]
    search_ids = ("id", "customer_id")
    search_emails = ("customer__user__email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole customer or version id"
    fields = [
        "id", "customer_link", "number", "first_name", "last_name", "date_of_birth", "country", "address",
        "document_type", "document_number", "created_at",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProfileVersion]:
        rows: QuerySet[ProfileVersion] = super().get_queryset(request)
        return rows.select_related("customer__user").order_by("-id")

    @admin.display(description="customer")
    def customer_link(self, row: ProfileVersion) -> str:
        return link(Customer, row.customer_id, row.customer.user.email)

    @admin.display(description="created (UTC)")
    def created(self, row: ProfileVersion) -> str:
        return instant(row.created_at)


@admin.register(StateChange)
class AccountsStateChangeAdmin(StateChangeAdmin):
    list_title = "State changes of customers and accounts"


def identity_data(request: HttpRequest, customer: Customer) -> SafeString | str | None:
    profile = customer.profile
    if profile is None:
        return None
    shown = ("first_name", "last_name", "date_of_birth", "country", "address", "document_type", "document_number")
    return named_values({name: getattr(profile, name) for name in shown})


def accounts_table(request: HttpRequest, customer: Customer) -> SafeString:
    rows = [
        (
            link(Account, each.id, each.label or each.currency),
            badge(each.status),
            money(each.cleared, each.currency),
            money(each.reserved, each.currency),
            money(each.available, each.currency),
            instant(each.created_at),
        )
        for each in Account.objects.filter(customer=customer).order_by("id")[:SHOWN]
    ]
    headers = ["Account", "Status", "Cleared", "Reserved", "Available", "Requested (UTC)"]
    return table(headers, rows, empty="No account has been requested.")


def versions_table(request: HttpRequest, customer: Customer) -> SafeString:
    rows = [
        (
            link(ProfileVersion, each.id, f"version {each.number}"),
            f"{each.first_name} {each.last_name}",
            instant(each.created_at),
            badge("verified") if each.id == customer.verified_profile_id else "–",
        )
        for each in ProfileVersion.objects.filter(customer=customer).order_by("-number")[:SHOWN]
    ]
    return table(["Version", "Name", "Sent (UTC)", ""], rows, empty="No profile has been sent.")


def beneficiaries_table(request: HttpRequest, customer: Customer) -> SafeString:
    rows = [
        (
            each.holder,
            each.iban,
            each.label or "–",
            badge(each.status),
            instant(each.created_at),
            instant(each.removed_at),
        )
        for each in Beneficiary.objects.filter(customer=customer).order_by("-id")[:SHOWN]
    ]
    headers = ["Holder", "IBAN", "Customer's label", "Status", "Added (UTC)", "Removed (UTC)"]
    return table(headers, rows, empty="No beneficiary has been added.")


def handles_table(request: HttpRequest, customer: Customer) -> SafeString | None:
    rows = [
        (str(each), badge(each.status), instant(each.claimed_at), instant(each.given_up_at))
        for each in Handle.objects.filter(customer=customer).order_by("-id")[:SHOWN]
    ]
    return table(["Handle", "Status", "Claimed (UTC)", "Given up (UTC)"], rows) if rows else None


register_panel(Customer, Panel("Identity data", identity_data, "accounts.view_profileversion", order=10))
register_panel(Customer, Panel("Accounts", accounts_table, "accounts.view_account", order=20))
register_panel(Customer, Panel("Beneficiaries", beneficiaries_table, "accounts.view_beneficiary", order=60))
register_panel(Customer, Panel("Handles", handles_table, "accounts.view_handle", order=65))
register_panel(Customer, Panel("Profile versions", versions_table, "accounts.view_profileversion", order=70))
register_panel(Customer, history_panel(StateChange, permission="accounts.view_statechange"))
