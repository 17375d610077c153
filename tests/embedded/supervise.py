"""`python -m tests.embedded.supervise FOLDER NAME CODE`: a supervisor with one process, to be killed by a test."""

import os
import signal
import sys
from pathlib import Path

from wallet_project.embedded import processes
from wallet_project.embedded.supervisor import ProcessSpec, Supervisor


def main(folder: Path, name: str, code: str) -> None:
    supervisor = Supervisor(root=folder, logs=folder / "log", register=folder / "processes.json")
    supervisor.start(ProcessSpec(name, (sys.executable, "-u", "-c", code), dict(os.environ)))
    log = supervisor.log(name)
    processes.wait_until(lambda: log.exists() and "ready" in log.read_text(), seconds=20)
    sys.stdout.write("started\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
