"""What can go wrong before the wallet runs; every message says what to do."""


class EmbeddedError(Exception):
    """A server or process could not be started, reached or stopped."""


class CannotDropRoot(EmbeddedError):
    """PostgreSQL refuses to run as root, and no other user can reach its files."""


class ServerFailed(EmbeddedError):
    """A server ended or did not answer in time; the message carries the end of its log."""
