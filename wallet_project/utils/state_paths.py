"""What a check of state paths (I5) asks of an app: its log has only legal paths, and each ends where its row stands."""

from collections.abc import Iterable

from django.apps import apps
from django.db import models

from wallet_project.utils.transitions import births, declared_pairs, state_field
from wallet_project.utils.verification import MAX_ROWS

#: (machine, from, to)
Step = tuple[str, str, str]


def machines(app_label: str) -> list[type[models.Model]]:
    """The app's models that have a state machine."""
    return [model for model in apps.get_app_config(app_label).get_models() if state_field(model) is not None]


def state_path_offences(app_label: str, *, besides: Iterable[Step] = ()) -> dict[str, str]:
    """The offences of a SqlCheck, by what is wrong. `besides`: steps logged of what has no state of its own."""
    of_app = machines(app_label)
    log = f"{app_label}_statechange"
    return {
        "an illegal change of state, or one that does not follow the last": f"""
            SELECT c.machine, c.subject_id, c.from_state, c.to_state, c.before FROM (
                SELECT s.*, coalesce(lag(s.to_state) OVER (PARTITION BY s.machine, s.subject_id ORDER BY s.id), '')
                    AS before FROM {log} s
            ) c
            WHERE c.from_state <> c.before
                OR NOT EXISTS (SELECT FROM (VALUES {_legal(of_app, besides)}) AS legal (machine, from_state, to_state)
                               WHERE legal.machine = c.machine
                                   AND legal.from_state = c.from_state AND legal.to_state = c.to_state)
            LIMIT {MAX_ROWS}""",  # noqa: S608
        "the log does not end where the row stands": f"""
            SELECT standing.machine, standing.id, standing.state, last.to_state AS logged
            FROM ({_standing(of_app)}) AS standing
            LEFT JOIN LATERAL (
                SELECT s.to_state FROM {log} s
                WHERE s.subject_id = standing.id AND s.machine = standing.machine ORDER BY s.id DESC LIMIT 1
            ) last ON true
            WHERE last.to_state IS DISTINCT FROM standing.state LIMIT {MAX_ROWS}""",  # noqa: S608
    }


def _legal(of_app: Iterable[type[models.Model]], besides: Iterable[Step]) -> str:
    """Names of models and states are identifiers of ours, so that they may stand in SQL as they are."""
    declared = (
        (str(model._meta.model_name), before, after)
        for model in of_app
        for before, after in sorted({("", birth) for birth in births(model)} | declared_pairs(model))
    )
    return ", ".join(f"('{machine}', '{before}', '{after}')" for machine, before, after in [*declared, *besides])


def _standing(of_app: Iterable[type[models.Model]]) -> str:
    return " UNION ALL ".join(_states_of(model) for model in of_app)


def _states_of(model: type[models.Model]) -> str:
    field = state_field(model)
    assert field is not None
    name, table = model._meta.model_name, model._meta.db_table
    return f"SELECT '{name}' AS machine, id, {field.column} AS state FROM {table}"  # noqa: S608
