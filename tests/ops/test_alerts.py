"""The alerting rules speak of figures that there are, and each leads to a row that says what to do."""

import re
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client

from tests.support.servers import ROOT

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
#: The notary has no page; it writes a file beside what it signs.
NOTARYS = "".join(path.read_text() for path in (ROOT / "wallet_project" / "chain").rglob("*.py"))
RUNBOOKS = (ROOT / "docs" / "operations.md").read_text().partition("## What to do when")[2]


@pytest.mark.django_db
def test_every_figure_that_an_alert_asks_for_is_on_the_page() -> None:
    page = Client().get("/metrics").content.decode()
    for rule in RULES:
        for figure in re.findall(r"\bwallet_\w+", rule["expr"]):
            named = f"# TYPE {figure.removesuffix('_total')}"
            assert named in page or f'"{figure}"' in NOTARYS, f"{rule['alert']}: {figure}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_leads_to_what_to_do(rule: dict[str, Any]) -> None:
    assert f"**{rule['annotations']['runbook']}" in RUNBOOKS
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_task_that_runs_by_itself_is_in_the_operators_table() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().partition("## What runs by itself")[2].partition("## ")[0]
    for name in settings.CELERY_BEAT_SCHEDULE:
        assert f"`{name}`" in table, name


def test_whatever_is_overdue_is_told_but_what_waits_for_people() -> None:
    [rule] = [rule for rule in RULES if rule["alert"] == "WalletWorkWaits"]
    assert 'stage!~"review|parked"' in rule["expr"]
