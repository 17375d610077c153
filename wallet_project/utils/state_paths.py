"""What a check of state paths (I5) asks of an app: its log has only legal paths, and each ends where its row stands."""

from collections.abc import Iterable
from typing import Final

from django.apps import apps
from django.db import models

from wallet_project.utils.fingerprints import SEEDS, of_id, of_text, seed
from wallet_project.utils.transitions import births, declared_pairs, state_field
from wallet_project.utils.verification import Proof

#: (machine, from, to)
Step = tuple[str, str, str]

_ILLEGAL: Final = "an illegal change of state, or one that does not follow the last"
_ELSEWHERE: Final = "the log does not end where the row stands"


def machines(app_label: str) -> list[type[models.Model]]:
    """The app's models that have a state machine."""
    return [model for model in apps.get_app_config(app_label).get_models() if state_field(model) is not None]


def state_path_offences(app_label: str, *, besides: Iterable[Step] = ()) -> dict[str, str]:
    """The offences of a SqlCheck, by what is wrong. `besides`: steps logged of what has no state of its own."""
    of_app = machines(app_label)
    log = f"{app_label}_statechange"
    return {
        _ILLEGAL: f"""
            SELECT c.machine, c.subject_id, c.from_state, c.to_state, c.before FROM (
                SELECT s.*, coalesce(lag(s.to_state) OVER (PARTITION BY s.machine, s.subject_id ORDER BY s.id), '')
                    AS before FROM {log} s
            ) c
            WHERE c.from_state <> c.before
                OR NOT EXISTS (SELECT FROM (VALUES {_legal(of_app, besides)}) AS legal (machine, from_state, to_state)
                               WHERE legal.machine = c.machine
                                   AND legal.from_state = c.from_state AND legal.to_state = c.to_state)""",  # noqa: S608
        _ELSEWHERE: f"""
            SELECT standing.machine, standing.id, standing.state, last.to_state AS logged
            FROM ({_standing(of_app)}) AS standing
            LEFT JOIN (
                SELECT s.machine, s.subject_id, max(s.id) AS id FROM {log} s GROUP BY s.machine, s.subject_id
            ) newest ON newest.subject_id = standing.id AND newest.machine = standing.machine
            LEFT JOIN {log} last ON last.id = newest.id
            WHERE last.to_state IS DISTINCT FROM standing.state""",  # noqa: S608
    }


def state_paths_hold(app_label: str, *, besides: Iterable[Step] = ()) -> Proof:
    """That there are none of these offences, without sorting a log that has millions of lines.

    Nearly all rows have one line or two. Where all rows of a machine do, that is seen by adding up, and by which id of
    each is the least; where some have more, their machine's lines are put in order."""
    of_app = machines(app_label)
    log = f"{app_label}_statechange"
    names = ", ".join(f"'{model._meta.model_name}'" for model in of_app)
    each = " AND ".join(
        f"CASE WHEN {_in_two_lines(model, log)} THEN true ELSE {_in_order(model, log)} END" for model in of_app
    )
    return Proof(
        offences=(_ILLEGAL, _ELSEWHERE),
        sql=f"""
            WITH {SEEDS}, counted AS MATERIALIZED (
                SELECT s.machine, s.from_state, s.to_state, count(*) AS lines, count(s.subject_id) AS named,
                       sum({of_id("s.subject_id", seed("a"))}) AS subjects
                FROM {log} s GROUP BY 1, 2, 3
            )
            SELECT NOT EXISTS (
                    SELECT FROM counted c
                    WHERE (c.machine, c.from_state, c.to_state) NOT IN (VALUES {_legal(of_app, besides)})
                        OR c.lines <> c.named)
                AND CASE WHEN EXISTS (SELECT FROM counted c WHERE c.machine NOT IN ({names})) THEN NOT EXISTS (
                    SELECT FROM (
                        SELECT s.from_state, coalesce(lag(s.to_state) OVER (
                                   PARTITION BY s.machine, s.subject_id ORDER BY s.id), '') AS before
                        FROM {log} s WHERE s.machine NOT IN ({names})
                    ) c WHERE c.from_state <> c.before) ELSE true END
                AND {each}""",  # noqa: S608
    )


def _in_two_lines(model: type[models.Model], log: str) -> str:
    """Each row of a machine has its birth, and then at most one move, from there to where the row stands.

    All that lines lead to, less all that they come from, is where rows stand, less where they began; a state counts by
    a number that is drawn for it. No line leads back to the beginning, so that one leads away from it for each row; and
    where a subject has two lines at most, of which the first is its birth, the other goes on from there. Where nothing
    has moved, there are births alone, and the log need not be read again for each machine."""
    field = state_field(model)
    assert field is not None
    name, table = model._meta.model_name, model._meta.db_table
    left, reached, stands, nothing = (
        f"{of_text(state, seed('b'))}::numeric" for state in ("c.from_state", "c.to_state", "t.state", "''")
    )
    of_machine = f"FROM counted c WHERE c.machine = '{name}'"
    return f"""(
                    (SELECT coalesce(sum(c.subjects * ({reached} - {left})), 0) {of_machine})
                        = (SELECT coalesce(sum(t.subjects * ({stands} - {nothing})), 0)
                           FROM (SELECT {field.column} AS state, sum({of_id("id", seed("a"))}) AS subjects
                                 FROM {table} GROUP BY 1) t)
                    AND (SELECT coalesce(sum(c.lines), 0) {of_machine} AND c.from_state = '')
                        = (SELECT count(*) FROM {table})
                    AND (SELECT count(*) FROM {table}) = (SELECT count(*) FROM (SELECT id FROM {table} GROUP BY id) one)
                    AND CASE WHEN EXISTS (SELECT {of_machine} AND c.from_state <> '') THEN (
                            SELECT bool_and(life.lines <= 2 AND life.first = life.born) FROM (
                                SELECT count(*) AS lines, min(s.id) AS first,
                                       coalesce(max(CASE WHEN s.from_state = '' THEN s.id END), 0) AS born
                                FROM {log} s WHERE s.machine = '{name}' GROUP BY s.subject_id) life)
                        ELSE true END)"""  # noqa: S608


def _in_order(model: type[models.Model], log: str) -> str:
    """Each line of a machine follows the last one about the same row, and the last one says where the row stands."""
    field = state_field(model)
    assert field is not None
    name, table = model._meta.model_name, model._meta.db_table
    return f"""(
                    SELECT count(*) FILTER (WHERE c.from_state <> c.before) = 0
                        AND (SELECT count(*) FROM {table}) = count(DISTINCT t.id)
                        AND coalesce(bool_and(NOT c.newest OR t.id IS NULL OR c.to_state = t.{field.column}), true)
                    FROM (
                        SELECT s.subject_id, s.from_state, s.to_state,
                               coalesce(lag(s.to_state) OVER life, '') AS before, lead(s.id) OVER life IS NULL AS newest
                        FROM {log} s WHERE s.machine = '{name}'
                        WINDOW life AS (PARTITION BY s.subject_id ORDER BY s.id)
                    ) c LEFT JOIN {table} t ON t.id = c.subject_id)"""  # noqa: S608


def state_path_offences_since(app_label: str, *, besides: Iterable[Step] = ()) -> dict[str, str]:
    """The same of what was logged from the transaction number %(since)s on: each line follows the one before it, old or
    new, and each row that it is about stands where its last line says."""
    of_app = machines(app_label)
    log = f"{app_label}_statechange"
    return {
        _ILLEGAL: f"""
            SELECT c.machine, c.subject_id, c.from_state, c.to_state, coalesce(last.to_state, '') AS before
            FROM {log} c
            LEFT JOIN LATERAL (
                SELECT s.to_state FROM {log} s
                WHERE s.subject_id = c.subject_id AND s.machine = c.machine AND s.id < c.id ORDER BY s.id DESC LIMIT 1
            ) last ON true
            WHERE c.xact >= %(since)s AND (c.from_state <> coalesce(last.to_state, '')
                OR NOT EXISTS (SELECT FROM (VALUES {_legal(of_app, besides)}) AS legal (machine, from_state, to_state)
                               WHERE legal.machine = c.machine
                                   AND legal.from_state = c.from_state AND legal.to_state = c.to_state))""",  # noqa: S608
        _ELSEWHERE: f"""
            WITH moved AS MATERIALIZED (
                SELECT DISTINCT ON (c.machine, c.subject_id) c.machine, c.subject_id, c.to_state FROM {log} c
                WHERE c.xact >= %(since)s ORDER BY c.machine, c.subject_id, c.id DESC
            )
            SELECT * FROM ({" UNION ALL ".join(_moved(model) for model in of_app)}) AS standing
            WHERE standing.state IS DISTINCT FROM standing.logged""",  # noqa: S608
    }


def _moved(model: type[models.Model]) -> str:
    """Each machine apart, so that its table is looked up by its key."""
    field = state_field(model)
    assert field is not None
    name, table = model._meta.model_name, model._meta.db_table
    return (
        f"SELECT m.machine, m.subject_id, t.{field.column} AS state, m.to_state AS logged"  # noqa: S608
        f" FROM moved m LEFT JOIN {table} t ON t.id = m.subject_id WHERE m.machine = '{name}'"
    )


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
