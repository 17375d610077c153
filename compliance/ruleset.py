"""The rules in force, as this process has compiled them."""

from typing import Final

import structlog
from django.conf import settings

from compliance.models import RulesRevision, RuleVersion
from compliance.rules import RuleSet, Thresholds, Version
from compliance.states import RuleAction

logger = structlog.get_logger(__name__)

#: What this process has compiled last, by what stands in the newest revision: numbers alone are not unique among the
#: databases of a test run.
_Key = tuple[int, tuple[str, ...], tuple[str, ...]]
_NONE: Final[_Key] = (0, (), ())
_loaded: tuple[_Key, RuleSet] = (_NONE, RuleSet(()))


def rules_in_force() -> RuleSet:
    """One query, by primary key, where nothing has changed since the last call. A set without rules reviews all."""
    global _loaded
    newest = RulesRevision.objects.order_by("-number").values_list("number", "active", "shadow").first()
    if newest is None:
        return RuleSet(())
    number, active, shadow = newest
    key = (number, tuple(active), tuple(shadow))
    if _loaded[0] != key:
        _loaded = (key, _compiled(number, active, shadow))
    return _loaded[1]


def _compiled(number: int, active: list[str], shadow: list[str]) -> RuleSet:
    rows = RuleVersion.objects.filter(id__in=[*active, *shadow]).select_related("rule")
    versions = {str(row.id): version_of(row) for row in rows}
    logger.info("rules_loaded", revision=number, active=len(active), shadow=len(shadow))
    return RuleSet([versions[id_] for id_ in active], [versions[id_] for id_ in shadow], revision=number)


def version_of(row: RuleVersion) -> Version:
    return Version(
        id=row.id,
        rule=row.rule.name,
        number=row.number,
        expression=row.expression,
        explanation=row.explanation,
        action=RuleAction(row.action),
        points=row.points,
        serious=row.serious,
    )


def thresholds() -> Thresholds:
    return Thresholds(settings.SCORE_REVIEW_FROM, settings.SCORE_REJECT_FROM)
