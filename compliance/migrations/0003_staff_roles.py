"""The four roles of staff, as groups.

Django makes permissions after all migrations have run; the roles need theirs now, so what is missing is made here in
the same way and found again there.
"""

from typing import Any

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

APPS = ("admin", "auth", "accounts", "ledger", "compliance")

VIEW = [
    "accounts.account", "accounts.customer", "accounts.profileversion", "accounts.statechange", "accounts.user",
    "accounts.beneficiary", "accounts.handle",
    "auth.group",
    "ledger.transaction", "ledger.entry", "ledger.workitem", "ledger.railtransfer", "ledger.inboundevent",
    "ledger.escalation", "ledger.statechange", "ledger.adjustment", "ledger.limit", "ledger.limitchange",
    "ledger.usage",
    "compliance.kyccheck", "compliance.screening", "compliance.case", "compliance.casenote", "compliance.decision",
    "compliance.inboundevent", "compliance.statechange",
]  # fmt: skip
WORK = [
    "compliance.work_case", "accounts.freeze_account", "accounts.restart_verification", "ledger.propose_adjustment",
    "ledger.set_limit",
]  # fmt: skip
EVERYTHING = [f"{model.split('.')[0]}.view_{model.split('.')[1]}" for model in VIEW]

ROLES = {
    "Officer": [*EVERYTHING, *WORK],
    "Senior officer": [*EVERYTHING, *WORK, "compliance.approve_case", "ledger.approve_adjustment"],
    "Auditor": [*EVERYTHING, "admin.view_logentry"],
    "Administrator": [*EVERYTHING, "admin.view_logentry", "accounts.add_user", "accounts.change_user"],
}


def make_roles(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    for label in APPS:
        create_permissions(installed.get_app_config(label), verbosity=0, interactive=False, using=using, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    groups = apps.get_model("auth", "Group").objects.using(using)
    for role, names in ROLES.items():
        wanted = [name.split(".") for name in names]
        found = [permissions.get(content_type__app_label=app, codename=codename) for app, codename in wanted]
        group, _ = groups.get_or_create(name=role)
        group.permissions.set(found)


def drop_roles(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias).filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("accounts", "0003_payees"),
        ("ledger", "0002_guards"),
        ("compliance", "0002_guards"),
    ]
    operations = [migrations.RunPython(make_roles, drop_roles)]
