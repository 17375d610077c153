"""Django by WSGI: for its development server, and behind the door of the web server that production runs (rsgi.py)."""

import os

from django.core.wsgi import get_wsgi_application

from wallet_project.checks import refuse_mistakes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallet_project.settings")
application = get_wsgi_application()
refuse_mistakes()
