"""`python -m wallet_project.sandbox`: serve until SIGTERM or Ctrl-C."""

import os
import signal
import sys
import threading
from types import FrameType

from wallet_project.sandbox.config import BadConfiguration, from_environment
from wallet_project.sandbox.sandbox import Sandbox
from wallet_project.sandbox.server import bind


def main() -> int:
    try:
        config = from_environment(os.environ)
        sandbox = Sandbox(config)
        server = bind(sandbox, config, log=True)
    except BadConfiguration as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2

    told_to_stop = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        told_to_stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sandbox.start()
    serving = threading.Thread(target=server.serve_forever, args=(0.2,), name="sandbox-http", daemon=True)
    serving.start()
    sys.stdout.write(f"sandbox listening on http://{config.host}:{server.server_port}\n")
    sys.stdout.flush()
    told_to_stop.wait()
    server.end()
    sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
