"""The web server's door: `granian --interface wsgi wallet_project.wsgi:application`."""

import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from wallet_project.api.defaults import DIRECT_PATHS
from wallet_project.checks import refuse_mistakes
from wallet_project.utils.memory import keep_what_is_here

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallet_project.settings")
django = get_wsgi_application()
refuse_mistakes()

from wallet_project.door import Door  # noqa: E402 - its parts ask for settings and apps

application = Door(django, DIRECT_PATHS, at_once=settings.WEB_REQUESTS_AT_ONCE)
keep_what_is_here()
# Threads that wait for the interpreter ask whoever has it to hand it over, every so often (5 ms). With a hundred of
# them, on busy processors, that came to be most of what they did. Whoever waits for a socket hands it over anyway.
sys.setswitchinterval(0.05)
