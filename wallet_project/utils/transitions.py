"""State machines: one way to move a row, one log of the moves, one trigger that knows the legal pairs.

The machine is declared with django-fsm on the model. The trigger that `state_trigger_sql` writes holds the same pairs,
so that set-based SQL obeys the machine too; a test compares the two.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection, models
from django_fsm import FSMFieldMixin

from wallet_project.utils.context import Actor, request_id

Pair = tuple[str, str]


class StateChangeBase(models.Model):
    """One append-only line of an app's log: who moved which row from where to where, and why."""

    id = models.BigAutoField(primary_key=True)
    machine = models.CharField(max_length=32, help_text="the model that moved, such as `account`")
    subject_id = models.UUIDField()
    from_state = models.CharField(max_length=24, blank=True, help_text="empty when the row was born")
    to_state = models.CharField(max_length=24)
    actor_id = models.UUIDField(help_text="the principal")
    reason = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(db_default=models.functions.Now())

    class Meta:
        abstract = True
        ordering = ["id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.machine} {self.subject_id}: {self.from_state or '·'} → {self.to_state}"


def log_change(row: Any, from_state: str, to_state: str, *, actor: Actor, reason: str = "") -> None:
    """Append one line to the log of the row's app; `reason` is cut at 500 characters."""
    log = row._meta.apps.get_model(row._meta.app_label, "StateChange")
    log.objects.create(
        machine=row._meta.model_name,
        subject_id=row.pk,
        from_state=from_state,
        to_state=to_state,
        actor_id=actor.principal_id,
        reason=reason[:500],
        request_id=request_id.get()[:64],
    )


def move(row: Any, transition: str, *, actor: Actor, reason: str = "", also: Iterable[str] = ()) -> None:
    """Move a row that the caller has locked: transition, save (with the fields in `also`), log.

    Raises django_fsm.TransitionNotAllowed when the machine has no such way out of the row's state.
    """
    assert connection.in_atomic_block, "a transition belongs to the use case's transaction"
    field = _machine_of(type(row))
    before = getattr(row, field.attname)
    getattr(row, transition)()
    row.save(update_fields=[field.name, *also])
    log_change(row, before, getattr(row, field.attname), actor=actor, reason=reason)


def born(row: Any, *, actor: Actor, reason: str = "") -> None:
    """Log the first state of a row that was just inserted."""
    field = _machine_of(type(row))
    log_change(row, "", getattr(row, field.attname), actor=actor, reason=reason)


def state_field(model: type[models.Model]) -> FSMFieldMixin | None:
    """The field that holds the model's state; None when it has no machine."""
    return next((field for field in model._meta.concrete_fields if isinstance(field, FSMFieldMixin)), None)


def births(model: type[models.Model]) -> set[str]:
    """The first states that a row may have: the field's default, and what the model names in BORN besides."""
    return {str(_machine_of(model).default), *map(str, getattr(model, "BORN", ()))}


def _machine_of(model: type[models.Model]) -> FSMFieldMixin:
    field = state_field(model)
    assert field is not None, f"{model.__name__} has no state machine"
    return field


def declared_pairs(model: type[models.Model]) -> set[Pair]:
    """The (from, to) pairs that the model's django-fsm transitions allow."""
    field = _machine_of(model)
    states = [str(value) for value, _ in field.choices or []]
    pairs: set[Pair] = set()
    for transition in field.get_all_transitions(model):
        sources = states if transition.source in ("*", "+") else [str(transition.source)]
        pairs |= {(source, str(transition.target)) for source in sources}
    return pairs


def state_trigger_sql(table: str, column: str, born_as: Iterable[str], pairs: Iterable[Pair]) -> str:
    """SQL for the triggers that refuse any other first state and any other change of `column`.

    Each calls its function only for what is not legal, as its own condition says: called for each row of a batch, the
    function would take longer than what it looks at.
    """
    births = sorted(f"'{birth}'" for birth in born_as)
    changes = sorted(f"'{a}>{b}'" for a, b in pairs)
    arguments = ", ".join([*(f"'>{birth[1:]}" for birth in births), *changes])
    born, moved = f"{table}_{column}_is_legal_at_birth", f"{table}_{column}_is_legal"
    return (
        f"DROP TRIGGER IF EXISTS {born} ON {table};\n"
        f"CREATE TRIGGER {born} BEFORE INSERT ON {table}\n"
        f"FOR EACH ROW WHEN (NEW.{column} <> ALL (ARRAY[{', '.join(births)}]))\n"
        f"EXECUTE FUNCTION check_state('{column}', {arguments});\n"
        f"DROP TRIGGER IF EXISTS {moved} ON {table};\n"
        f"CREATE TRIGGER {moved} BEFORE UPDATE OF {column} ON {table}\n"
        f"FOR EACH ROW WHEN (OLD.{column} <> NEW.{column}\n"
        f"AND OLD.{column} || '>' || NEW.{column} <> ALL (ARRAY[{', '.join(changes)}]))\n"
        f"EXECUTE FUNCTION check_state('{column}', {arguments});"
    )


def drop_state_trigger_sql(table: str, column: str) -> str:
    """SQL that takes `state_trigger_sql` back."""
    name = f"{table}_{column}_is_legal"
    return f"DROP TRIGGER {name} ON {table}; DROP TRIGGER {name}_at_birth ON {table}"
