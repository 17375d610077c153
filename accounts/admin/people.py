"""Who may log in here, and with which rights.

Nobody raises himself: an administrator manages other members of staff by their groups, never himself, a superuser or a
customer. Superusers alone make superusers and change what a group may do. Nobody is deleted: history names them.
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import Customer, User
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    badge,
    instant,
    link,
    link_to,
    named_values,
)


class NewStaffForm(UserCreationForm):  # type: ignore[misc]
    class Meta:
        model = User
        fields = ("email",)
        field_classes = {"email": forms.EmailField}

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError("Somebody has this e-mail address.")
        return email


class ChangedUserForm(UserChangeForm):  # type: ignore[misc]
    def clean_email(self) -> str:
        # The login compares in lower case: who is kept otherwise can't log in any more.
        return str(self.cleaned_data["email"]).lower()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        rights = any(values.get(name) for name in ("is_staff", "is_superuser", "groups"))
        if rights and Customer.objects.filter(user=self.instance).exists():
            raise forms.ValidationError("This is a customer. Members of staff have a login of their own.")
        return values


class NamedAsInTheMenu:
    """The head of a page leads to the list by the name it has in the menu, not by Django's names of apps."""

    list_title = ""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": self.list_title, "crumbs": [(self.list_title, None)], **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)  # type: ignore[misc]
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        row, opts = kwargs.get("obj"), self.opts  # type: ignore[attr-defined]
        listed = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        context["crumbs"] = [(self.list_title, listed), (f"new {opts.verbose_name}" if row is None else str(row), None)]
        response: HttpResponse = super().render_change_form(request, context, **kwargs)  # type: ignore[misc]
        return response


class SaysWhatChanged:
    """Django's log names the fields that were changed; who audits rights must see from what to what."""

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        # A password's form is no ModelForm, and what is in it is in no log.
        if add or not form.changed_data or not isinstance(form, forms.ModelForm):
            return super().construct_change_message(request, form, formsets, add)  # type: ignore[misc]
        said = [_change_in_words(form, name) for name in form.changed_data]
        return "; ".join(filter(None, said)) or "No fields changed."


def _change_in_words(form: Any, name: str) -> str:
    before, after = form.initial.get(name), form.cleaned_data.get(name)
    label = str(form.fields[name].label or name).capitalize()
    if isinstance(after, QuerySet):
        old, new = {str(each) for each in before or ()}, {str(each) for each in after}
        given, taken = ", ".join(sorted(new - old)), ", ".join(sorted(old - new))
        return f"{label}: " + ", ".join(filter(None, [given and f"given {given}", taken and f"taken {taken}"]))
    return f"{label}: {_said(before)} → {_said(after)}" if before != after else ""


def _said(value: Any) -> str:
    return {True: "yes", False: "no", None: "–", "": "–"}.get(value, str(value))


@admin.register(User)
class UserAdmin(NamedAsInTheMenu, SaysWhatChanged, ExactSearchMixin, DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    list_title = "Users"
    form = ChangedUserForm
    add_form = NewStaffForm
    change_password_form = AdminPasswordChangeForm
    actions = None
    list_display = ["email", "name", "roles", "staff_badge", "active_badge", "last_login"]
    list_filter = ["is_staff", "is_active", "is_superuser", "groups"]
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ["-id"]
    sortable_by = ()
    search_emails = ("email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole user id"
    filter_horizontal = ["groups"]
    fieldsets = [
        (None, {"fields": ["email", "password", "first_name", "last_name"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("On record", {"fields": ["id", "last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "fields": ["email", "password1", "password2"],
                "description": "A new member of staff. Give a role on the next page. Customers sign up by themselves.",
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        # Whoever could change a customer's or a superuser's login could become one.
        return obj is None or request.user.is_superuser or (obj.is_staff and not obj.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        fields = ["id", "last_login", "date_joined"]
        if not request.user.is_superuser:
            fields += ["is_superuser", "is_staff"]
        if obj is not None and obj.pk == request.user.pk:
            fields += ["is_active", "is_staff", "is_superuser", "groups"]
        return fields

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        # A reader needs no part of a password's hash.
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "password"]})
            for title, options in fieldsets
        ]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)

    @admin.display(description="name")
    def name(self, row: User) -> str:
        return row.get_full_name() or "–"

    @admin.display(description="roles")
    def roles(self, row: User) -> str:
        # sorted() over the prefetched rows; order_by() would ask again for each.
        return ", ".join(sorted(group.name for group in row.groups.all())) or "–"

    @admin.display(description="kind")
    def staff_badge(self, row: User) -> str:
        if row.is_superuser:
            return badge("superuser", tone="danger")
        return badge("staff", tone="info") if row.is_staff else badge("customer")

    @admin.display(description="login")
    def active_badge(self, row: User) -> str:
        return badge("active", tone="success") if row.is_active else badge("disabled", tone="danger")


class GroupAdmin(NamedAsInTheMenu, SaysWhatChanged, DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    list_title = "Roles"
    actions = None
    list_display = ["name", "people"]
    readonly_fields = ["rights"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        rows: QuerySet[Group] = super().get_queryset(request)
        return rows.annotate(members=Count("user"))

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return ["name", "permissions"] if self.has_change_permission(request, obj) else ["name", "rights"]

    @admin.display(description="members")
    def people(self, row: Any) -> int:
        members: int = row.members
        return members

    @admin.display(description="may")
    def rights(self, row: Group) -> str:
        rows = row.permissions.order_by("content_type__app_label", "name").values_list(
            "content_type__app_label", "name"
        )
        by_app: dict[str, list[str]] = {}
        for app, name in rows:
            by_app.setdefault(app, []).append(name.removeprefix("Can "))
        return named_values({app: ", ".join(names) for app, names in by_app.items()})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)


class ChangedFilter(CreatedFilter):
    title = "changed"
    column = "action_time"


class LogEntryAdmin(ExactSearchMixin, BigTableAdmin):
    list_title = "What staff changed of users and roles"
    list_filter = [ChangedFilter]
    search_ids = ("object_id", "user_id")
    search_emails = ("user__email__startswith",)
    search_help_text = "The beginning of an administrator's e-mail address, or a whole user id"
    list_display = ["when", "who", "what", "change"]
    ordering = ["-id"]
    fields = ["when", "who", "what", "change"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        rows: QuerySet[LogEntry] = super().get_queryset(request)
        return rows.select_related("user", "content_type")

    @admin.display(description="when (UTC)")
    def when(self, row: LogEntry) -> str:
        return instant(row.action_time)

    @admin.display(description="by")
    def who(self, row: LogEntry) -> str:
        return link_to(row.user)

    @admin.display(description="what")
    def what(self, row: LogEntry) -> str:
        model = row.content_type.model_class() if row.content_type else None
        if model is None:
            return row.object_repr
        return format_html("{} {}", model._meta.verbose_name, link(model, row.object_id, row.object_repr))

    @admin.display(description="change")
    def change(self, row: LogEntry) -> str:
        return row.get_change_message() or row.get_action_flag_display()


# Second factors, sessions and confirmed addresses belong to their users; the library's pages would let staff edit them.
for _model in (EmailAddress, Authenticator, UserSession, Group):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)
admin.site.register(Group, GroupAdmin)
admin.site.register(LogEntry, LogEntryAdmin)
