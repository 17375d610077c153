"""The Celery application, and the sender that lets the layers below nudge without knowing Celery."""

import os

from celery import Celery

from wallet_project import task_signals as task_signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallet_project.settings")
app = Celery("wallet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def send(task: str) -> None:
    """Publish one task; no retries, so that a dead broker costs a request a second at the most."""
    app.send_task(task, retry=False, ignore_result=True)
