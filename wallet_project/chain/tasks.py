"""The background job that seals."""

from celery import shared_task

from wallet_project.chain import sealing
from wallet_project.utils.batches import work_off


@shared_task(name="chain.seal")
def seal() -> None:
    work_off("chain.seal", sealing.seal, full=1)
