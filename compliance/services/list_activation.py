"""Bringing a version of a list into force: one commit retires the old one and activates the new one.

A list can let money through as well as stop it. What only adds names to a list that stops people needs one person;
what takes names off it, or any change to a list of people who are let through, needs two, and the first one's word is
a proposal. The system activates by itself what a publisher of sanctions says, unless more than a tenth of it is gone:
that is a file that was cut off, more often than not (docs/decisions/0022).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.staff import given_reason, require_permission
from compliance import steps
from compliance.models import ListDecision, ListVersion, Rescreening, SanctionsList
from compliance.states import ListPurpose, ListVerdict, ListVersionStatus
from compliance.watchlists import Difference, difference
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, NotAllowed, NotFound, database_refusals, on_constraint
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import move

ACTIVATE_LIST: Final = "compliance.activate_list"
APPROVE_LIST: Final = "compliance.approve_list"
#: The share of a sanctions list, in parts of a hundred, that may be gone without a person having looked.
GONE_UNSEEN_PERCENT: Final = 10


class VersionNotFound(NotFound):
    code = "list_version_not_found"
    message = "There is no such version of a list."


class VersionElsewhere(Conflict):
    """`status` is the one it is in."""

    code = "list_version_elsewhere"
    message = "The version is in force already: somebody else was faster. Look at it again."


class ProposalVoid(Conflict):
    code = "list_proposal_void"
    message = "Nothing is proposed, or another version has come into force since. Look at it again."


class ActivationNeedsPeople(Conflict):
    """`lost`: entries that are gone or in other words; `gone`: those that are gone altogether."""

    code = "list_activation_needs_people"
    message = (
        "This activation takes names off a list, or concerns a list of people who are let through: two people decide "
        "it, on the version's page in the admin."
    )


class SecondPersonNeeded(NotAllowed):
    code = "list_needs_a_second_person"
    message = "Whoever proposed the activation can't confirm it; a second person must."


class NotYourProposal(NotAllowed):
    code = "list_proposal_not_yours"
    message = "Somebody else proposed this; only he withdraws it."


on_constraint("list_checker_is_not_the_maker", SecondPersonNeeded)


@dataclass(frozen=True, slots=True)
class Locked:
    """A version, the one in force (None: there is none) and what is between them, under the lock of their list."""

    version: ListVersion
    active: ListVersion | None
    between: Difference

    @property
    def needs_two(self) -> bool:
        return needs_two_people(self.version.list, self.between)


def needs_two_people(listed: SanctionsList, between: Difference) -> bool:
    return listed.purpose == ListPurpose.ALLOW or between.lost > 0


def activate_version(*, actor: Actor, version_id: UUID, reason: str, now: datetime) -> ListDecision:
    """Bring a version into force, or propose it where a second person is needed; the decision says which.

    Raises VersionNotFound, PermissionMissing, VersionElsewhere, ReasonRequired; for the system ActivationNeedsPeople.
    """
    with database_refusals(), transaction.atomic(durable=True):
        locked = _locked(version_id, actor, ACTIVATE_LIST)
        reason = given_reason(reason)
        if actor.kind == "system":
            _demand_harmless(locked)
        elif locked.needs_two:
            return _record(locked, ListVerdict.PROPOSE, maker_id=actor.principal_id, reason=reason)
        return _carry_out(locked, actor=actor, maker_id=actor.principal_id, reason=reason, now=now)


def confirm_activation(
    *, actor: Actor, version_id: UUID, reason: str, now: datetime, proposal_id: int | None = None
) -> ListDecision:
    """The second person agrees; the version comes into force. `proposal_id` is the decision that he has read.

    Raises VersionNotFound, PermissionMissing, VersionElsewhere, ProposalVoid, SecondPersonNeeded, ReasonRequired.
    """
    with database_refusals(), transaction.atomic(durable=True):
        locked = _locked(version_id, actor, APPROVE_LIST)
        proposal = _standing(locked, proposal_id)
        if proposal.maker_id == actor.principal_id:
            raise SecondPersonNeeded
        reason = given_reason(reason)
        return _carry_out(
            locked, actor=actor, maker_id=proposal.maker_id, checker_id=actor.principal_id, reason=reason, now=now
        )


def decline_activation(*, actor: Actor, version_id: UUID, reason: str, proposal_id: int | None = None) -> ListDecision:
    """The second person does not agree; nothing changes. Raises as `confirm_activation`."""
    with database_refusals(), transaction.atomic(durable=True):
        locked = _locked(version_id, actor, APPROVE_LIST)
        proposal = _standing(locked, proposal_id)
        if proposal.maker_id == actor.principal_id:
            raise SecondPersonNeeded
        return _record(
            locked,
            ListVerdict.DECLINE,
            maker_id=proposal.maker_id,
            checker_id=actor.principal_id,
            reason=given_reason(reason),
        )


def withdraw_activation(*, actor: Actor, version_id: UUID, reason: str) -> ListDecision:
    """Take one's own proposal back. Raises VersionNotFound, PermissionMissing, VersionElsewhere, ProposalVoid,
    NotYourProposal, ReasonRequired."""
    with database_refusals(), transaction.atomic(durable=True):
        locked = _locked(version_id, actor, ACTIVATE_LIST)
        if _standing(locked, None).maker_id != actor.principal_id:
            raise NotYourProposal
        return _record(locked, ListVerdict.WITHDRAW, maker_id=actor.principal_id, reason=given_reason(reason))


def standing_proposal(version: ListVersion) -> ListDecision | None:
    """What waits for a second person; None where nothing does. One that was made against another version in force is
    void."""
    last = version.decisions.select_related("maker").order_by("-id").first()
    if last is None or last.verdict != ListVerdict.PROPOSE:
        return None
    active = ListVersion.objects.filter(list_id=version.list_id, status=ListVersionStatus.ACTIVE).first()
    return last if last.against_id == (active.id if active else None) else None


def _locked(version_id: UUID, actor: Actor, permission: str) -> Locked:
    list_id = ListVersion.objects.filter(id=version_id).values_list("list_id", flat=True).first()
    if list_id is None:
        raise VersionNotFound
    listed = SanctionsList.objects.select_for_update(no_key=True).get(id=list_id)
    version = ListVersion.objects.get(id=version_id)
    version.list = listed
    require_permission(actor, permission)
    if version.status == ListVersionStatus.ACTIVE:
        raise VersionElsewhere(status=str(version.status))
    active = ListVersion.objects.filter(list=listed, status=ListVersionStatus.ACTIVE).first()
    return Locked(version, active, difference(active, version))


def _standing(locked: Locked, proposal_id: int | None) -> ListDecision:
    proposal = standing_proposal(locked.version)
    if proposal is None or proposal_id not in (None, proposal.id):
        raise ProposalVoid
    return proposal


def _demand_harmless(locked: Locked) -> None:
    """What the system may do without a person."""
    purpose, between = locked.version.list.purpose, locked.between
    unseen = purpose == ListPurpose.SANCTIONS and between.gone * 100 <= between.had * GONE_UNSEEN_PERCENT
    if locked.needs_two and not unseen:
        raise ActivationNeedsPeople(lost=between.lost, gone=between.gone)


def _record(
    locked: Locked, verdict: ListVerdict, *, maker_id: UUID, reason: str, checker_id: UUID | None = None
) -> ListDecision:
    return ListDecision.objects.create(
        version=locked.version,
        verdict=verdict,
        reason=steps.clipped(reason),
        maker_id=maker_id,
        checker_id=checker_id,
        against=locked.active,
        gained=locked.between.gained,
        lost=locked.between.lost,
    )


def _carry_out(
    locked: Locked, *, actor: Actor, maker_id: UUID, reason: str, now: datetime, checker_id: UUID | None = None
) -> ListDecision:
    version, active = locked.version, locked.active
    version.list.activations += 1
    version.list.save(update_fields=["activations"])
    if active is not None:
        active.retired_at = now
        move(active, "retire", actor=actor, reason=f"version {version.number} is in force", also=["retired_at"])
    version.activated_at, version.retired_at = now, None
    move(version, "activate", actor=actor, reason=reason, also=["activated_at", "retired_at"])
    if version.list.purpose != ListPurpose.ALLOW and locked.between.gained:
        Rescreening.objects.create(version=version, since=active)
        nudge("compliance.list_activated")
    return _record(locked, ListVerdict.ACTIVATE, maker_id=maker_id, checker_id=checker_id, reason=reason)
