"""Files and folders that are named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # where click has it

import click


class Named(click.Path):
    """A file or folder. An empty name would be that of the folder one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it has no name.", param, ctx)
        return super().convert(value, param, ctx)


PATH = Named(path_type=Path)
