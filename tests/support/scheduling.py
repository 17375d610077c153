"""Which tests of a parallel run share a worker."""

from xdist.scheduler import LoadScopeScheduling

#: In these files tests share processes, or a database, that take longer to start than the tests take to run.
SHARED = (
    "tests/demo/test_story.py",
    "tests/e2e/",
    "tests/ops/test_managed_database.py",
    "tests/ledger/test_plans.py",
    "tests/ledger/test_plans_when_large.py",
)


class FilesThatShare(LoadScopeScheduling):
    """Hands out tests one by one, but for those files, which go to one worker each, and first.

    (xdist's own groups, `--dist loadgroup`, do not work with the nodeids of pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        return file if file.startswith(SHARED) else nodeid
