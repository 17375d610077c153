"""Pages of tables that are too large to count."""

from django.core.paginator import Paginator
from django.utils.functional import cached_property

#: Nobody reads further; counting stops here, so that neither the count nor an OFFSET grows with the table.
BOUND = 2_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    @cached_property
    def _counted(self) -> int:
        return int(self.object_list[: BOUND + 1].count())  # type: ignore[attr-defined]

    @cached_property
    def count(self) -> int:
        return min(self._counted, BOUND)

    @property
    def is_cut(self) -> bool:
        """There is more than is shown: the reader should search or filter."""
        return self._counted > BOUND
