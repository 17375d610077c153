"""The peer that a Django team would pick, django-hordak, in a virtual environment of its own: this file is its project.

`python hordak_peer.py prepare` makes its tables and accounts, `python hordak_peer.py run SECONDS` prints how many
transfers a second two processes of four threads made. DATABASE_URL says where. Nothing of ours is imported.

A transfer is what its documentation gives: lock the paying account, compare its balance, `transfer_to`; one commit.
"""

import multiprocessing
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

PROCESSES = 2
THREADS = 4
ACCOUNTS = 500
CURRENCY = "EUR"
_FUNDS = 1_000_000


def configure() -> None:
    import django
    from django.conf import settings

    url = urlsplit(os.environ["DATABASE_URL"])
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "djmoney", "hordak"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": url.path[1:],
                "USER": url.username,
                "PASSWORD": url.password,
                "HOST": url.hostname,
                "PORT": url.port,
                "CONN_MAX_AGE": None,
            }
        },
        DEFAULT_CURRENCY=CURRENCY,
        CURRENCIES=[CURRENCY],
        HORDAK_DEFAULT_CURRENCY=CURRENCY,
        USE_TZ=True,
        SECRET_KEY="bench",  # noqa: S106 - signs nothing
    )
    django.setup()


def prepare() -> None:
    from django.core.management import call_command
    from django.db import connection, transaction
    from hordak.models import Account, Leg, Transaction
    from moneyed import Money

    call_command("migrate", verbosity=0)
    with transaction.atomic():
        capital = Account.objects.create(name="capital", type="EQ", currencies=[CURRENCY])
        made = [Account.objects.create(name=f"{n}", type="LI", currencies=[CURRENCY]) for n in range(ACCOUNTS)]
        opening = Transaction.objects.create(description="opening")
        funds = Money(_FUNDS, CURRENCY)
        Leg.objects.create(transaction=opening, account=capital, debit=funds * ACCOUNTS)
        Leg.objects.bulk_create(Leg(transaction=opening, account=account, credit=funds) for account in made)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def transfer_until(until: float, ids: list[int]) -> int:
    from django.db import connection, transaction
    from hordak.models import Account
    from moneyed import Money

    amount, made = Money(1, CURRENCY), 0
    while time.perf_counter() < until:
        source, destination = random.sample(ids, 2)
        with transaction.atomic():
            payer = Account.objects.select_for_update(of=("self",)).get(pk=source)
            if payer.get_balance()[CURRENCY] < amount:
                raise RuntimeError("an account of the peer ran dry")
            # To hordak the side of a liability that grows is its credit: what pays is debited.
            Account.objects.get(pk=destination).transfer_to(payer, amount)
        made += 1
    connection.close()
    return made


def work(seconds: float, barrier: object, results: object) -> None:
    from hordak.models import Account

    ids = list(Account.objects.filter(type="LI").values_list("pk", flat=True))
    barrier.wait(timeout=60)  # type: ignore[attr-defined]
    until = time.perf_counter() + seconds
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            made: int | str = sum(threads.map(lambda _: transfer_until(until, ids), range(THREADS)))
    except Exception as error:
        made = repr(error)
    results.put(made)  # type: ignore[attr-defined]


def run(seconds: float) -> float:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(PROCESSES + 1), context.SimpleQueue()
    children = [context.Process(target=work, args=(seconds, barrier, results)) for _ in range(PROCESSES)]
    for child in children:
        child.start()
    barrier.wait(timeout=60)
    began = time.perf_counter()
    made = [results.get() for _ in children]
    took = time.perf_counter() - began
    for child in children:
        child.join()
    if any(isinstance(one, str) for one in made):
        raise SystemExit(f"a process of the peer failed: {made}")
    check()
    return sum(made) / took


def check() -> None:
    """Its books too: a rate of transfers that lost money would be no peer."""
    from hordak.models import Account

    Account.validate_accounting_equation()


if __name__ == "__main__":
    configure()
    if sys.argv[1] == "prepare":
        prepare()
    else:
        sys.stdout.write(f"RATE {run(float(sys.argv[2]))}\n")
