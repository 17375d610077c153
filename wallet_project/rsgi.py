"""The web server's door: `granian --interface rsgi wallet_project.rsgi:application`."""

import sys

from django.conf import settings

from wallet_project.api.defaults import DIRECT_PATHS
from wallet_project.utils.memory import keep_what_is_here
from wallet_project.wsgi import application as django

from wallet_project.door import Door  # isort: skip - its parts ask for settings and apps
from wallet_project.gateway import Gateway

#: Beside those that WEB_REQUESTS_AT_ONCE bounds: health, figures and staff.
_MORE_THREADS = 16

application = Door(
    Gateway(django, threads=settings.WEB_REQUESTS_AT_ONCE + _MORE_THREADS),
    DIRECT_PATHS,
    at_once=settings.WEB_REQUESTS_AT_ONCE,
    payments_at_once=settings.WEB_PAYMENTS_AT_ONCE,
)
keep_what_is_here()
# Threads that wait for the interpreter ask whoever has it to hand it over, every so often (5 ms). With a hundred of
# them, on busy processors, that came to be most of what they did. Whoever waits for a socket hands it over anyway.
sys.setswitchinterval(0.05)
