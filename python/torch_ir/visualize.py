# SPDX-License-Identifier: MIT
"""Drawings of graphs."""

import json
from typing import TYPE_CHECKING

from .ir import IR

if TYPE_CHECKING:
    from . import _core


def ir_to_mermaid(ir: IR, max_nodes: int = 30, include_weights: bool = True) -> str:
    """A Mermaid flowchart of a graph.

    Args:
        ir: The graph.
        max_nodes: Draw at most so many nodes of each graph; a note says how many more there are.
        include_weights: Draw weights as nodes of their own.
    """
    return drawable(ir).to_mermaid(max(max_nodes, 0), include_weights)


def generate_op_distribution_pie(ir: IR, top_n: int = 10) -> str:
    """A Mermaid pie of the most frequent ops; all others are one piece."""
    return drawable(ir).to_mermaid_pie(max(top_n, 0))


def drawable(ir: IR) -> "_core.Model":
    """The graph for the C++ library, contradictions in it allowed."""
    from . import _core

    return _core.Model.parse(json.dumps(ir.structure()), lenient=True)
