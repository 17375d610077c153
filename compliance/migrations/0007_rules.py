"""Rules, their versions, the decisions on them, what was in force when, and trials on the past."""

import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.db import migrations, models

import wallet_project.utils.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_payees"),
        ("compliance", "0006_list_guards"),
        ("ledger", "0005_many"),
    ]

    operations = [
        migrations.CreateModel(
            name="Backtest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(help_text="excluded")),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[("queued", "Queued"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")],
                        default="queued",
                        max_length=50,
                    ),
                ),
                (
                    "next_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="null once it is over",
                        null=True,
                    ),
                ),
                ("lease_token", models.UUIDField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("replayed", models.PositiveBigIntegerField(default=0, help_text="transactions so far")),
                ("report", models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True)),
                ("error", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Rule",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.SlugField(help_text="such as `many_debits`", max_length=60, unique=True)),
                ("description", models.CharField(help_text="what it is for, in plain words", max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "ordering": ["name"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RuleDecision",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("change", models.CharField(choices=[("activate", "Activate"), ("retire", "Retire")], max_length=10)),
                (
                    "step",
                    models.CharField(
                        choices=[
                            ("proposed", "Proposed"),
                            ("agreed", "Agreed"),
                            ("declined", "Declined"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "decision on a rule",
                "verbose_name_plural": "decisions on rules",
                "ordering": ["id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RulesRevision",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("active", models.JSONField(help_text="ids of versions")),
                ("shadow", models.JSONField(help_text="ids of versions")),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "set of rules",
                "verbose_name_plural": "sets of rules",
                "ordering": ["-number"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RuleVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("expression", models.TextField(help_text="CEL over the facts of docs/screening.md", max_length=2000)),
                ("explanation", models.CharField(help_text="for staff, with expressions in braces", max_length=500)),
                (
                    "action",
                    models.CharField(
                        choices=[("allow", "Allow"), ("review", "Review"), ("reject", "Reject"), ("score", "Score")],
                        max_length=10,
                    ),
                ),
                ("points", models.PositiveIntegerField(default=0, help_text="of a score")),
                (
                    "serious",
                    models.BooleanField(
                        default=False, help_text="its cases come first, and an approval needs a second person"
                    ),
                ),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[
                            ("draft", "Draft"),
                            ("shadow", "in shadow"),
                            ("active", "Active"),
                            ("retired", "Retired"),
                        ],
                        default="draft",
                        max_length=50,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "rule version",
                "ordering": ["-id"],
                "permissions": [
                    ("edit_rule", "Can draft rules, put them into shadow, try them on the past and propose changes"),
                    ("approve_rule", "Can agree to what others propose for rules"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="screening",
            name="rules_revision",
            field=models.PositiveIntegerField(help_text="the set of rules by which it was decided", null=True),
        ),
        migrations.AddField(
            model_name="screening",
            name="shadow",
            field=models.JSONField(
                help_text="what versions in shadow said, without effect; null for nothing", null=True
            ),
        ),
        migrations.AlterField(
            model_name="screening",
            name="findings",
            field=models.JSONField(default=list, help_text="[{rule, version, action, verdict, explanation, …}]"),
        ),
        migrations.AddIndex(
            model_name="screening",
            index=models.Index(
                condition=models.Q(("shadow__isnull", False)), fields=["id"], name="screening_with_shadow"
            ),
        ),
        migrations.AddField(
            model_name="backtest",
            name="asked_by",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.AddField(
            model_name="rule",
            name="created_by",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.AddField(
            model_name="ruledecision",
            name="answers",
            field=models.OneToOneField(
                help_text="the proposal",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="answer",
                to="compliance.ruledecision",
            ),
        ),
        migrations.AddField(
            model_name="ruledecision",
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
            model_name="ruledecision",
            name="maker",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.AddField(
            model_name="rulesrevision",
            name="made_by",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.AddField(
            model_name="ruleversion",
            name="author",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.principal"
            ),
        ),
        migrations.AddField(
            model_name="ruleversion",
            name="rule",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="versions",
                to="compliance.rule",
            ),
        ),
        migrations.AddField(
            model_name="ruledecision",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="compliance.ruleversion"
            ),
        ),
        migrations.AddField(
            model_name="backtest",
            name="version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="backtests",
                to="compliance.ruleversion",
            ),
        ),
        migrations.AddIndex(
            model_name="ruleversion",
            index=models.Index(
                condition=models.Q(("status__in", ["active", "shadow"])), fields=["id"], name="rule_version_running"
            ),
        ),
        migrations.AddConstraint(
            model_name="ruleversion",
            constraint=models.UniqueConstraint(fields=("rule", "number"), name="rule_version_number_once"),
        ),
        migrations.AddConstraint(
            model_name="ruleversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "active")), fields=("rule",), name="rule_has_one_active_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="ruleversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("action", "score"), ("points__gt", 0)),
                    models.Q(models.Q(("action", "score"), _negated=True), ("points", 0)),
                    _connector="OR",
                ),
                name="rule_version_points_belong_to_a_score",
            ),
        ),
        migrations.AddConstraint(
            model_name="ruledecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("checker__isnull", True), models.Q(("checker", models.F("maker")), _negated=True), _connector="OR"
                ),
                name="rule_checker_is_not_the_maker",
            ),
        ),
        migrations.AddConstraint(
            model_name="ruledecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("answers__isnull", True), ("checker__isnull", True), ("step", "proposed")),
                    models.Q(
                        ("answers__isnull", False), ("checker__isnull", False), ("step__in", ["agreed", "declined"])
                    ),
                    models.Q(("answers__isnull", False), ("checker__isnull", True), ("step", "withdrawn")),
                    _connector="OR",
                ),
                name="rule_answer_has_its_people",
            ),
        ),
        migrations.AddIndex(
            model_name="backtest",
            index=models.Index(condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="backtest_due"),
        ),
        migrations.AddConstraint(
            model_name="backtest",
            constraint=models.CheckConstraint(
                condition=models.Q(("until__gt", models.F("since"))), name="backtest_period_has_a_length"
            ),
        ),
    ]
