"""The web server as `make run` starts it, before a test's database."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import ROOT
from wallet_project.embedded import ports, processes, specs


@dataclass(frozen=True)
class WebServer:
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.port}"


@contextmanager
def web_server(app_dsn: str, folder: Path, **environment: str) -> Iterator[WebServer]:
    """It is well when the block begins, and is killed when it ends."""
    log = folder / "web.log"
    with ports.reserved() as port:
        env = {**os.environ, "DATABASE_URL": app_dsn, "DATABASE_OWNER_URL": "", "READ_ENV_FILES": "off", **environment}
        spec = specs.web(env, port=port)
        with log.open("wb") as lines:
            process = subprocess.Popen(
                spec.argv, env=dict(spec.env), cwd=ROOT, stdout=lines, stderr=lines, start_new_session=True
            )
        server = WebServer(port, process, log)
        try:
            assert processes.wait_until(lambda: ports.is_well(f"{server.url}/healthz"), seconds=60), log.read_text()
            yield server
        finally:
            # Its two processes with it, who would go on serving without it.
            processes.end_group(process.pid)
            process.wait()
