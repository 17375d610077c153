"""The web server's door: `granian --interface wsgi wallet_project.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

from wallet_project.checks import refuse_mistakes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallet_project.settings")
application = get_wsgi_application()
refuse_mistakes()
