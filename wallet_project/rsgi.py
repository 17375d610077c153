"""The web server's door: `granian --interface rsgi wallet_project.rsgi:application`."""

import sys

from django.conf import settings

from wallet_project.api.defaults import DIRECT_PATHS
from wallet_project.utils.memory import keep_what_is_here
from wallet_project.wsgi import application as django

from wallet_project.door import Door  # isort: skip - its parts ask for settings and apps
from wallet_project.gateway import Gateway, Gateways

#: More of them hand the interpreter to each other, and wait for the connections of a pool (DATABASE_POOL).
_THREADS = 32
_THREADS_FOR_LONG_BODIES = 16
_THREADS_FOR_THE_HOUSE = 8

application = Door(
    Gateways(
        usual=Gateway(django, threads=_THREADS, places=settings.WEB_REQUESTS_AT_ONCE),
        long=Gateway(django, threads=_THREADS_FOR_LONG_BODIES, places=_THREADS_FOR_LONG_BODIES),
        house=Gateway(django, threads=_THREADS_FOR_THE_HOUSE, places=None),
    ),
    DIRECT_PATHS,
    payments_at_once=settings.WEB_PAYMENTS_AT_ONCE,
)
keep_what_is_here()
# Threads that wait for the interpreter ask whoever has it to hand it over, every so often (5 ms): a twentieth fewer
# payments with 128 connections. Whoever waits for a socket hands it over anyway.
sys.setswitchinterval(0.05)
