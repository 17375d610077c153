"""Rules of screening, as staff write them: a draft runs in shadow, and becomes active or ends when two people want it.

Each change of what runs makes a new revision of the set in the same commit; workers see it with their next batch.
Locks: the rule's row first, then its versions.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from accounts.staff import given_reason, require_permission
from compliance.models import Rule, RuleDecision, RulesRevision, RuleVersion
from compliance.rules import Unacceptable, accept, accept_template
from compliance.selectors import open_proposal
from compliance.states import RuleAction, RuleChange, RuleStatus, RuleStep
from compliance.steps import clipped
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, InvalidInput, NotAllowed, NotFound, database_refusals, on_constraint
from wallet_project.utils.transitions import born, move

EDIT_RULE: Final = "compliance.edit_rule"
APPROVE_RULE: Final = "compliance.approve_rule"
#: What runs costs time with each transaction; docs/decisions/0023 has the figures.
MAX_RUNNING: Final = 100
MAX_POINTS: Final = 1_000


class RuleNotFound(NotFound):
    code = "rule_not_found"
    message = "There is no such rule or version."


class RuleNameTaken(Conflict):
    code = "rule_name_taken"
    message = "There is a rule of this name; draft a new version of it."


class RuleNotValid(InvalidInput):
    """`fields` says what is wrong, and where in the expression."""

    code = "rule_not_valid"
    message = "This can't be a rule."


class RuleElsewhere(Conflict):
    """`status` is what it is in."""

    code = "rule_version_elsewhere"
    message = "The version is in another state by now; look at it again."


class ProposalStands(Conflict):
    code = "rule_proposal_stands"
    message = "Something is proposed for this version already; it waits for a second person."


class NothingProposed(Conflict):
    code = "rule_nothing_proposed"
    message = "What you have read is not proposed any more; look at it again."


class SecondPersonNeeded(NotAllowed):
    code = "rule_needs_a_second_person"
    message = "Whoever proposed it can't answer it; a second person must."


class NotYourProposal(NotAllowed):
    code = "rule_not_your_proposal"
    message = "Somebody else proposed this. You can answer it; only its maker withdraws it."


class TooManyRules(Conflict):
    code = "too_many_rules"
    message = f"{MAX_RUNNING} versions run already, in shadow or active; retire one first."


class RulesChangedMeanwhile(Conflict):
    code = "rules_changed_meanwhile"
    message = "Somebody else has just changed what runs; look at it and try again."


class LastRule(Conflict):
    code = "last_active_rule"
    message = "Without any active rule every transaction would wait for a person; activate another one first."


on_constraint("rule_checker_is_not_the_maker", SecondPersonNeeded)
on_constraint("compliance_rule_name_key", RuleNameTaken)
on_constraint("compliance_ruledecision_answers_id_key", NothingProposed)
on_constraint("compliance_rulesrevision_pkey", RulesChangedMeanwhile)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a version is to say. `points` belong to a score."""

    expression: str
    explanation: str
    action: str
    points: int = 0
    serious: bool = False


def create_rule(*, actor: Actor, name: str, description: str, draft: Draft) -> RuleVersion:
    """A new rule with its first version, a draft. Raises PermissionMissing, RuleNotValid, RuleNameTaken."""
    _look_at(draft)
    if not name.replace("_", "").isalnum() or not name.isascii() or name != name.lower() or len(name) > 60:
        raise RuleNotValid(fields={"name": "Small letters, digits and underscores, at most 60."})
    if not description.strip() or len(description) > 500:
        raise RuleNotValid(fields={"description": "Say what it is for, in at most 500 characters."})
    with database_refusals(), transaction.atomic(durable=True):
        require_permission(actor, EDIT_RULE)
        rule = Rule.objects.create(name=name, description=description.strip(), created_by_id=actor.principal_id)
        return _write(rule, 1, draft, actor)


def draft_version(*, actor: Actor, rule_id: UUID, draft: Draft) -> RuleVersion:
    """The next version of a rule, as a draft. Raises PermissionMissing, RuleNotFound, RuleNotValid."""
    _look_at(draft)
    with transaction.atomic(durable=True):
        rule = _locked_rule(rule_id)
        require_permission(actor, EDIT_RULE)
        last = rule.versions.aggregate(last=Max("number"))["last"] or 0
        return _write(rule, last + 1, draft, actor)


def put_in_shadow(*, actor: Actor, version_id: UUID, reason: str) -> RuleVersion:
    """Let a draft run beside the others, without effect.

    Raises PermissionMissing, RuleNotFound, RuleElsewhere, TooManyRules, ReasonRequired, RulesChangedMeanwhile."""
    with database_refusals(), transaction.atomic(durable=True):
        version = _locked(version_id, actor, EDIT_RULE, RuleStatus.DRAFT)
        # A release may have taken a fact away since it was written.
        _look_at(Draft(version.expression, version.explanation, version.action, version.points, version.serious))
        with _Publishing(actor):
            move(version, "shadow", actor=actor, reason=clipped(given_reason(reason)))
    return version


def discard(*, actor: Actor, version_id: UUID, reason: str) -> RuleVersion:
    """End a draft, or one in shadow: what has no effect needs no second person.

    Raises PermissionMissing, RuleNotFound, RuleElsewhere, ProposalStands, ReasonRequired, RulesChangedMeanwhile."""
    with database_refusals(), transaction.atomic(durable=True):
        version = _locked(version_id, actor, EDIT_RULE, RuleStatus.DRAFT, RuleStatus.SHADOW)
        if open_proposal(version) is not None:
            raise ProposalStands
        with _Publishing(actor):
            move(version, "retire", actor=actor, reason=clipped(given_reason(reason)))
    return version


def propose(*, actor: Actor, version_id: UUID, change: str, reason: str) -> RuleDecision:
    """Ask for a second person's word: that a version in shadow becomes active, or that an active one ends.

    Raises PermissionMissing, RuleNotFound, RuleElsewhere, ProposalStands, ReasonRequired."""
    wanted = RuleStatus.SHADOW if change == RuleChange.ACTIVATE else RuleStatus.ACTIVE
    with transaction.atomic(durable=True):
        version = _locked(version_id, actor, EDIT_RULE, wanted)
        if open_proposal(version) is not None:
            raise ProposalStands
        return RuleDecision.objects.create(
            version=version,
            change=RuleChange(change),
            step=RuleStep.PROPOSED,
            maker_id=actor.principal_id,
            reason=clipped(given_reason(reason)),
        )


def answer(*, actor: Actor, version_id: UUID, proposal_id: int, agree: bool, reason: str) -> RuleVersion:
    """The second person's word. Agreed means done: the version runs, or ends, with this commit; one that becomes active
    takes the place of the version of its rule that was.

    Raises PermissionMissing, NothingProposed, SecondPersonNeeded, ReasonRequired, RuleElsewhere, LastRule,
    RulesChangedMeanwhile."""
    with database_refusals(), transaction.atomic(durable=True):
        proposal, version = _locked_proposal(version_id, proposal_id, actor, APPROVE_RULE)
        if proposal.maker_id == actor.principal_id:
            raise SecondPersonNeeded
        said = clipped(given_reason(reason))
        RuleDecision.objects.create(
            version=version,
            change=proposal.change,
            step=RuleStep.AGREED if agree else RuleStep.DECLINED,
            answers=proposal,
            maker_id=proposal.maker_id,
            checker_id=actor.principal_id,
            reason=said,
        )
        if agree:
            with _Publishing(actor):
                _carry_out(version, proposal.change, actor=actor, reason=said)
    return version


def withdraw(*, actor: Actor, version_id: UUID, proposal_id: int, reason: str) -> RuleVersion:
    """Take one's own proposal back. Raises PermissionMissing, NothingProposed, NotYourProposal, ReasonRequired."""
    with database_refusals(), transaction.atomic(durable=True):
        proposal, version = _locked_proposal(version_id, proposal_id, actor, EDIT_RULE)
        if proposal.maker_id != actor.principal_id:
            raise NotYourProposal
        RuleDecision.objects.create(
            version=version,
            change=proposal.change,
            step=RuleStep.WITHDRAWN,
            answers=proposal,
            maker_id=proposal.maker_id,
            reason=clipped(given_reason(reason)),
        )
    return version


def _look_at(draft: Draft) -> None:
    problems = {}
    for field, look in (("expression", accept), ("explanation", accept_template)):
        try:
            look(getattr(draft, field))
        except Unacceptable as error:
            problems[field] = error.problem
    if draft.action not in RuleAction.values:
        problems["action"] = "Not one of those."
    if (draft.action == RuleAction.SCORE) != (0 < draft.points <= MAX_POINTS):
        problems["points"] = f"A score has 1 to {MAX_POINTS} points, anything else none."
    if problems:
        raise RuleNotValid(" ".join(f"{name.capitalize()}: {said}" for name, said in problems.items()), fields=problems)


def _write(rule: Rule, number: int, draft: Draft, actor: Actor) -> RuleVersion:
    version = RuleVersion.objects.create(
        rule=rule,
        number=number,
        expression=draft.expression,
        explanation=draft.explanation,
        action=draft.action,
        points=draft.points,
        serious=draft.serious,
        author_id=actor.principal_id,
    )
    born(version, actor=actor)
    return version


def _carry_out(version: RuleVersion, change: str, *, actor: Actor, reason: str) -> None:
    if change == RuleChange.RETIRE:
        _demand(version, RuleStatus.ACTIVE)
        if not RuleVersion.objects.filter(status=RuleStatus.ACTIVE).exclude(id=version.id).exists():
            raise LastRule
        move(version, "retire", actor=actor, reason=reason)
        return
    _demand(version, RuleStatus.SHADOW)
    before = RuleVersion.objects.filter(rule=version.rule_id, status=RuleStatus.ACTIVE).first()
    if before is not None:
        move(before, "retire", actor=actor, reason=clipped(f"version {version.number} takes its place: {reason}"))
    move(version, "activate", actor=actor, reason=reason)


def _locked_rule(rule_id: UUID) -> Rule:
    # What is locked is that nobody else changes the rule's versions; the row itself never changes, and the application
    # may not update it, which a lock of it would ask for.
    rule = Rule.objects.filter(id=rule_id).first()
    if rule is None:
        raise RuleNotFound
    list(rule.versions.order_by("id").select_for_update(no_key=True).values_list("id"))
    return rule


def _locked(version_id: UUID, actor: Actor, permission: str, *statuses: RuleStatus) -> RuleVersion:
    rule_id = RuleVersion.objects.filter(id=version_id).values_list("rule_id", flat=True).first()
    if rule_id is None:
        raise RuleNotFound
    _locked_rule(rule_id)
    version = RuleVersion.objects.select_related("rule").get(id=version_id)
    require_permission(actor, permission)
    _demand(version, *statuses)
    return version


def _locked_proposal(
    version_id: UUID, proposal_id: int, actor: Actor, permission: str
) -> tuple[RuleDecision, RuleVersion]:
    """The proposal that was read, if it is this version's and stands."""
    version = _locked(version_id, actor, permission)
    proposal = open_proposal(version)
    if proposal is None or proposal.id != proposal_id:
        raise NothingProposed
    return proposal, version


def _demand(version: RuleVersion, *statuses: RuleStatus) -> None:
    if statuses and version.status not in statuses:
        raise RuleElsewhere(status=str(version.status))


class _Publishing:
    """Makes the next revision of the set out of what runs after the block, if that is something else than before.

    Its number is read before anything is changed: whoever else makes a revision in between takes it, and the database
    refuses the second of the two, which has not seen what the first one changed.
    """

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def __enter__(self) -> None:
        self._before = RulesRevision.objects.order_by("-number").first()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            return
        runs = RuleVersion.objects.filter(status__in=[RuleStatus.ACTIVE, RuleStatus.SHADOW]).order_by("id")
        by_status: dict[str, list[str]] = {RuleStatus.ACTIVE: [], RuleStatus.SHADOW: []}
        for id_, status in runs.values_list("id", "status"):
            by_status[status].append(str(id_))
        active, shadow = by_status[RuleStatus.ACTIVE], by_status[RuleStatus.SHADOW]
        if len(active) + len(shadow) > MAX_RUNNING:
            raise TooManyRules
        before = self._before
        if before is not None and (before.active, before.shadow) == (active, shadow):
            return
        RulesRevision.objects.create(
            number=before.number + 1 if before is not None else 1,
            active=active,
            shadow=shadow,
            made_by_id=self._actor.principal_id,
        )
