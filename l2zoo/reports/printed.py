"""`Printed`: results that print as what they found, in a terminal, at a prompt and in a notebook."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.reports.table import Table

if TYPE_CHECKING:
    from rich.console import Group


class Printed:
    """What `print` and a prompt show of a result: its lines; Rich and notebooks show its tables too.

    A dataclass takes it with `repr=False`, or its own `repr` of all fields would win.
    """

    def _lines(self) -> Sequence[str]:
        """What was found, its numbers and where the files are, in lines of text."""
        raise NotImplementedError

    def _tables(self) -> Sequence[Table]:
        """The numbers in full, if there are more."""
        return ()

    def _page(self) -> Path | None:
        """The page that has all of it, if it was written."""
        return None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        return Group(*(part for table in self._tables() for part in (table, "")), *map(Text, self._lines()))

    def _repr_html_(self) -> str:
        from rich.console import Console

        console = Console(record=True, width=120, file=io.StringIO())
        console.print(self)
        shown = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
        page = self._page()
        if page is None:
            return shown
        return f'{shown}<a href="{html.escape(page.absolute().as_uri())}">{html.escape(page.name)}</a>'
