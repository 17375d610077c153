"""Small files that only their owner may read, replaced in one step."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from wallet_project.embedded.errors import EmbeddedError


def write_private(path: Path, content: str) -> None:
    """Replace `path`; whoever reads it meanwhile sees the old content or the new, and nobody else sees either."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_private(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Its content; empty when there is none. Raises EmbeddedError when it belongs to somebody else or is damaged."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise EmbeddedError(
            f"{path} belongs to another user. Start as that user, or delete {path.parent} (and its data)."
        ) from error
    except ValueError as error:
        raise EmbeddedError(f"{path} is damaged: {error}. Repair or delete it.") from error
    if not isinstance(content, dict):
        raise EmbeddedError(f"{path} is damaged: it holds no object. Repair or delete it.")
    return content


def remembered_secrets(path: Path, names: list[str]) -> dict[str, str]:
    """A random secret for each name, made on first use and the same ever after."""
    known = read_json(path)
    missing = {name: secrets.token_hex(24) for name in names if name not in known}
    if missing:
        write_json(path, {**known, **missing})
    return {name: str({**known, **missing}[name]) for name in names}
