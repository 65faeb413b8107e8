# SPDX-License-Identifier: MIT
"""Small models of many kinds, written to tests/data/zoo by tools/make_zoo.py."""

import dataclasses
from typing import Any, Callable


@dataclasses.dataclass
class Entry:
    """A model of the zoo: `calls` gives the arguments of one call or more, the first of which is exported."""

    build: Callable
    categories: list[str]
    calls: Callable[[], list[tuple]]
    dynamic_shapes: Any


ENTRIES: list[Entry] = []


def zoo(*categories, calls, dynamic_shapes=None):
    """Puts a module class into the zoo under its name; the first line of its comment describes it."""

    def add(module_class):
        ENTRIES.append(Entry(module_class, list(categories), calls, dynamic_shapes))
        return module_class

    return add
