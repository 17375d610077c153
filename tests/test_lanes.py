"""What waits for somebody outside has workers of its own, and no task is sent where nobody takes it up."""

from pathlib import Path

from django.conf import settings

from wallet_project.celery import app
from wallet_project.embedded import specs

ROOT = Path(__file__).resolve().parent.parent
TASKS = {*settings.NUDGES.values(), *settings.CELERY_BEAT_SCHEDULE}
WAIT_FOR_OTHERS = {"ledger.dispatch_rails", "compliance.run_checks"}


def lane(task: str) -> str:
    route = app.amqp.router.route({}, task)
    return str(route["queue"].name)


def test_a_bank_that_hangs_can_not_keep_the_workers_of_anything_else() -> None:
    assert {lane(task) for task in WAIT_FOR_OTHERS}.isdisjoint(lane(task) for task in TASKS - WAIT_FOR_OTHERS)


def test_each_lane_has_its_workers() -> None:
    lanes = {lane(task) for task in TASKS}
    started = [spec.argv[spec.argv.index("--queues") + 1] for spec in specs.workers({})]
    assert sorted(started) == sorted(lanes)
    compose = (ROOT / "docker-compose.yml").read_text()
    assert all(f"--queues, {name}," in compose for name in lanes)
    alone = specs.worker({}).argv
    assert set(alone[alone.index("--queues") + 1].split(",")) == lanes
