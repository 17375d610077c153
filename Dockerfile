# One image for all that runs: web (its default command), worker, caller, beat, sandbox and `manage.py`.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /wallet
RUN python -m venv /opt/wallet
COPY requirements.txt .
# Wheels alone: there is no compiler here to need.
RUN /opt/wallet/bin/pip install --only-binary=:all: --requirement requirements.txt
COPY . .
# Settings ask for these; nothing is signed and nobody is called while static files are collected.
RUN SECRET_KEY=unused DATABASE_URL=postgres://unused REDIS_URL=redis://unused \
    /opt/wallet/bin/python manage.py collectstatic --no-input \
    && /opt/wallet/bin/python -m compileall -q . \
    && /opt/wallet/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.11-slim-bookworm
ENV PATH=/opt/wallet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, so that whoever runs it can tell that this is not root. /data is the sandbox's book, /metrics the counters
# that web and workers share, /notary the signing key, /documents what customers send: a volume put there takes their owner over.
RUN groupadd --gid 10001 wallet \
    && useradd --uid 10001 --gid wallet --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin wallet \
    && install --directory --owner=wallet --group=wallet --mode=0700 /data /documents /metrics /notary
COPY --from=build /opt/wallet /opt/wallet
COPY --from=build /wallet /wallet
WORKDIR /wallet
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Two processes for two cores; why so many threads: docs/operations.md.
CMD ["granian", "--interface", "rsgi", "--loop", "uvloop", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", \
    "--backlog", "1024", "--backpressure", "1024", "--no-ws", \
    "--workers-kill-timeout", "5", "--respawn-failed-workers", \
    "wallet_project.rsgi:application"]
