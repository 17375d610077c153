"""Lists in versions, what each version changed, and what came of looking for customers on them."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.conf import settings
from django.db import migrations, models

import wallet_project.utils.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_payees"),
        ("compliance", "0004_self_audit"),
        ("ledger", "0005_many"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ListChange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("external_id", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("added", "Added"), ("changed", "Changed"), ("removed", "Removed")], max_length=7
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="ListDecision",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("propose", "Propose"),
                            ("activate", "Activate"),
                            ("decline", "Decline"),
                            ("withdraw", "Withdraw"),
                        ],
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("gained", models.PositiveIntegerField()),
                ("lost", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="ListVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "digest",
                    models.CharField(
                        help_text="SHA-256 over the entries, whatever their order in the file", max_length=64
                    ),
                ),
                ("entries", models.PositiveIntegerField()),
                ("names", models.PositiveIntegerField()),
                ("added", models.PositiveIntegerField()),
                ("changed", models.PositiveIntegerField()),
                ("removed", models.PositiveIntegerField()),
                ("report", models.JSONField(help_text="how the files were read, each line accounted for")),
                ("imported_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="when the list was last read and said this",
                    ),
                ),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[("imported", "Imported"), ("active", "Active"), ("retired", "Retired")],
                        default="imported",
                        max_length=50,
                    ),
                ),
                ("activated_at", models.DateTimeField(null=True)),
                ("retired_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="NameMatch",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("asked_hash", models.BinaryField(max_length=32)),
                ("score", models.PositiveSmallIntegerField()),
                (
                    "explanation",
                    models.JSONField(
                        help_text="which words of the two names met with which score, what raised or lowered it"
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="NameScreening",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        choices=[("identity", "identity check"), ("list", "another version of a list")], max_length=8
                    ),
                ),
                ("asked", models.JSONField()),
                ("asked_hash", models.BinaryField(max_length=32)),
                ("versions", models.JSONField(help_text="ids of the versions of lists that were looked at")),
                ("threshold", models.PositiveSmallIntegerField(help_text="the score from which on a match counts")),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[
                            ("clear", "Clear"),
                            ("in_review", "in review"),
                            ("cleared", "Cleared"),
                            ("confirmed", "Confirmed"),
                            ("outdated", "Outdated"),
                        ],
                        default="clear",
                        max_length=50,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("decided_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Rescreening",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "made_by",
                    models.PositiveSmallIntegerField(default=0, help_text="the making of tokens that it goes by"),
                ),
                ("cursor", models.UUIDField(help_text="the last customer who was dealt with", null=True)),
                ("prepared_at", models.DateTimeField(help_text="when all names were ready", null=True)),
                (
                    "entry_cursor",
                    models.BigIntegerField(default=0, help_text="the last entry that was looked up among them"),
                ),
                ("looked_up_at", models.DateTimeField(help_text="when it was known who may be meant", null=True)),
                (
                    "screened",
                    models.PositiveBigIntegerField(default=0, help_text="customers whose names were looked at"),
                ),
                (
                    "candidates",
                    models.PositiveBigIntegerField(default=0, help_text="those who were searched for in full"),
                ),
                ("matched", models.PositiveBigIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "moved_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when it last went on"
                    ),
                ),
                ("done_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="NameTokens",
            fields=[
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.customer",
                    ),
                ),
                (
                    "profile_number",
                    models.PositiveIntegerField(help_text="the version of the profile that they were made of"),
                ),
                ("made_by", models.PositiveSmallIntegerField(help_text="the making of tokens that made them")),
                (
                    "tokens",
                    django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=["tokens"], name="name_tokens"),
                ],
            },
        ),
        migrations.CreateModel(
            name="RescreeningCandidate",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.customer",
                    ),
                ),
                (
                    "rescreening",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="compliance.rescreening",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("rescreening", "customer"), name="rescreening_candidate_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SanctionsEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("external_id", models.CharField(help_text="the publisher's", max_length=200)),
                ("content_hash", models.BinaryField(max_length=32)),
                (
                    "subject",
                    models.CharField(
                        choices=[
                            ("person", "Person"),
                            ("organisation", "Organisation"),
                            ("vessel", "Vessel"),
                            ("aircraft", "Aircraft"),
                            ("unknown", "Unknown"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "birth_dates",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=10), help_text="ISO, as exact as the list is", size=None
                    ),
                ),
                (
                    "countries",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=2), help_text="ISO 3166 alpha-2", size=None
                    ),
                ),
                ("gender", models.CharField(blank=True, max_length=6)),
                ("details", models.JSONField(help_text="all else that the list says")),
            ],
            options={
                "verbose_name": "list entry",
                "verbose_name_plural": "list entries",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SanctionsList",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=60, unique=True)),
                ("format", models.CharField(max_length=20)),
                (
                    "purpose",
                    models.CharField(
                        choices=[("sanctions", "Sanctions"), ("deny", "Deny"), ("allow", "Allow")], max_length=10
                    ),
                ),
                (
                    "activations",
                    models.PositiveIntegerField(default=0, help_text="how often a version came into force"),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "list",
                "permissions": [
                    ("activate_list", "Can activate a version of a list, or propose it"),
                    ("approve_list", "Can confirm the activation that another proposed"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SanctionsName",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=1000)),
                (
                    "kind",
                    models.CharField(
                        choices=[("primary", "Primary"), ("alias", "Alias"), ("weak", "Weak")], max_length=7
                    ),
                ),
                ("folded", models.CharField(help_text="the beginning, in lower case", max_length=40)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="case",
            name="case_has_one_subject",
        ),
        migrations.AddField(
            model_name="listdecision",
            name="checker",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.principal",
            ),
        ),
        migrations.AddField(
            model_name="listdecision",
            name="maker",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.CreateModel(
            name="ListIndex",
            fields=[
                (
                    "version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="index",
                        serialize=False,
                        to="compliance.listversion",
                    ),
                ),
                ("content", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="listversion",
            name="imported_by",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.AddField(
            model_name="listdecision",
            name="against",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="compliance.listversion",
            ),
        ),
        migrations.AddField(
            model_name="listdecision",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="compliance.listversion"
            ),
        ),
        migrations.AddField(
            model_name="listchange",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="changes", to="compliance.listversion"
            ),
        ),
        migrations.AddField(
            model_name="namematch",
            name="customer",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.customer"
            ),
        ),
        migrations.AddField(
            model_name="namematch",
            name="version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="compliance.listversion",
            ),
        ),
        migrations.AddField(
            model_name="namescreening",
            name="customer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="name_screenings", to="accounts.customer"
            ),
        ),
        migrations.AddField(
            model_name="namescreening",
            name="profile",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="name_screenings",
                to="accounts.profileversion",
            ),
        ),
        migrations.AddField(
            model_name="namematch",
            name="screening",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="matches", to="compliance.namescreening"
            ),
        ),
        migrations.AddField(
            model_name="case",
            name="name_screening",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="case",
                to="compliance.namescreening",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", False),
                        ("name_screening__isnull", True),
                        ("screening__isnull", True),
                    ),
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", True),
                        ("screening__isnull", False),
                    ),
                    models.Q(
                        ("escalation__isnull", False),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", True),
                        ("screening__isnull", True),
                    ),
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", False),
                        ("screening__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="case_has_one_subject",
            ),
        ),
        migrations.AddField(
            model_name="rescreening",
            name="since",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="compliance.listversion",
            ),
        ),
        migrations.AddField(
            model_name="rescreening",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="rescreenings", to="compliance.listversion"
            ),
        ),
        migrations.AddField(
            model_name="namematch",
            name="entry",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="compliance.sanctionsentry"
            ),
        ),
        migrations.AddField(
            model_name="listchange",
            name="before",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="compliance.sanctionsentry",
            ),
        ),
        migrations.AddField(
            model_name="listchange",
            name="entry",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="compliance.sanctionsentry"
            ),
        ),
        migrations.AddField(
            model_name="sanctionsentry",
            name="list",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="compliance.sanctionslist",
            ),
        ),
        migrations.AddField(
            model_name="listversion",
            name="list",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="imported",
                to="compliance.sanctionslist",
            ),
        ),
        migrations.AddField(
            model_name="sanctionsname",
            name="entry",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="names", to="compliance.sanctionsentry"
            ),
        ),
        migrations.AddConstraint(
            model_name="listdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("checker__isnull", True), models.Q(("checker", models.F("maker")), _negated=True), _connector="OR"
                ),
                name="list_checker_is_not_the_maker",
            ),
        ),
        migrations.AddConstraint(
            model_name="listdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("checker__isnull", True), ("verdict", "propose")),
                    models.Q(("checker__isnull", False), ("verdict", "decline")),
                    ("verdict__in", ["activate", "withdraw"]),
                    _connector="OR",
                ),
                name="list_decision_has_its_people",
            ),
        ),
        migrations.AddIndex(
            model_name="namescreening",
            index=models.Index(
                condition=models.Q(("status__in", ["in_review", "confirmed"])),
                fields=["customer"],
                name="name_screening_stops",
            ),
        ),
        migrations.AddIndex(
            model_name="rescreening",
            index=models.Index(
                condition=models.Q(("done_at__isnull", True)), fields=["id"], name="rescreening_under_way"
            ),
        ),
        migrations.AddConstraint(
            model_name="namematch",
            constraint=models.UniqueConstraint(
                fields=("customer", "asked_hash", "entry"), name="name_match_looked_at_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="listchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("before__isnull", True), ("entry__isnull", False), ("kind", "added")),
                    models.Q(("before__isnull", False), ("entry__isnull", False), ("kind", "changed")),
                    models.Q(("before__isnull", False), ("entry__isnull", True), ("kind", "removed")),
                    _connector="OR",
                ),
                name="list_change_says_from_what_to_what",
            ),
        ),
        migrations.AddIndex(
            model_name="sanctionsentry",
            index=models.Index(fields=["external_id"], name="list_entry_by_external_id"),
        ),
        migrations.AddConstraint(
            model_name="sanctionsentry",
            constraint=models.UniqueConstraint(
                fields=("list", "external_id", "content_hash"), name="list_entry_kept_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="listversion",
            constraint=models.UniqueConstraint(fields=("list", "number"), name="list_version_number_unique"),
        ),
        migrations.AddConstraint(
            model_name="listversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "active")), fields=("list",), name="list_has_one_active_version"
            ),
        ),
        migrations.AddIndex(
            model_name="sanctionsname",
            index=models.Index(fields=["folded"], name="list_name_begins", opclasses=["varchar_pattern_ops"]),
        ),
    ]
