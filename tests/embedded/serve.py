"""`python -m tests.embedded.serve HOME`: both embedded servers until SIGTERM or SIGINT, as the supervisor keeps them.

Says in one line of JSON where they are, once they answer."""

import json
import signal
import sys
import threading
from pathlib import Path

from wallet_project.embedded.postgres import PostgresServer
from wallet_project.embedded.valkey import ValkeyServer


def main(home: Path) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stop.set())
    postgres, valkey = PostgresServer(home / "postgres"), ValkeyServer(home / "valkey")
    try:
        postgres.start()
        valkey.start()
        where = {"pids": [postgres.pid, valkey.pid], "owner": postgres.owner_url, "valkey": valkey.url()}
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        stop.wait()
    finally:
        postgres.stop()
        valkey.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
