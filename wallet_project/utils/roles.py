"""What a migration gives to the roles of staff that an earlier one has made."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db.migrations import RunPython


def give_to_roles(app: str, roles: Mapping[str, Sequence[str]]) -> RunPython:
    """Give each role, by its name, these permissions of the app, by their codenames. They are made first: Django makes
    them only after all migrations."""

    def give(apps: Any, schema_editor: Any) -> None:
        using = schema_editor.connection.alias
        create_permissions(installed.get_app_config(app), verbosity=0, interactive=False, using=using, apps=apps)
        permissions = apps.get_model("auth", "Permission").objects.using(using)
        for role, names in roles.items():
            group = apps.get_model("auth", "Group").objects.using(using).get(name=role)
            group.permissions.add(*permissions.filter(content_type__app_label=app, codename__in=names))

    return RunPython(give, RunPython.noop)
