# SPDX-License-Identifier: MIT
"""The command line of pytorch-ir, for programs that call it: `info` and `visualize` of a graph.

The tool `torch-ir` (`python -m torch_ir`) has these and many more subcommands.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional

from . import __version__
from .ir import IR, write_text
from .serializer import SerializationError, load_ir
from .visualize import drawable, ir_to_mermaid


def create_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="pytorch-ir", description="Show and draw graphs of PyTorch models")
    parser.add_argument("--version", action="version", version=f"torch-ir {__version__}")
    commands = parser.add_subparsers(dest="command")
    info = commands.add_parser("info", help="inputs, outputs, weights and ops of a graph")
    info.add_argument("--json", action="store_true", help="print JSON")
    visualize = commands.add_parser("visualize", help="draw a graph")
    visualize.add_argument("--max-nodes", type=int, default=30, help="draw at most so many nodes (default: 30)")
    visualize.add_argument("--no-weights", action="store_true", help="leave weights out")
    for command in (info, visualize):
        command.add_argument("ir_file", help="a JSON IR or a .pt2")
    info.add_argument("-o", "--output", help="file to write")
    visualize.add_argument("-o", "--output", help="file to write: .svg, .png (needs the package mmdc), else Mermaid")
    return parser


def cmd_info(args: argparse.Namespace) -> None:
    """The subcommand `info`."""
    info = json.loads(drawable(_load_ir_file(args.ir_file)).info())
    _write_output(json.dumps(info, indent=2) if args.json else _info_text(info), args.output)


def cmd_visualize(args: argparse.Namespace) -> None:
    """The subcommand `visualize`."""
    ir = _load_ir_file(args.ir_file)
    kind = Path(args.output).suffix.lower() if args.output else ""
    if kind == ".svg":
        _write_output(drawable(ir).to_svg(max(args.max_nodes, 0), not args.no_weights), args.output)
        return
    mermaid = ir_to_mermaid(ir, max_nodes=args.max_nodes, include_weights=not args.no_weights)
    if kind == ".png":
        _write_png(mermaid, args.output)
    else:
        _write_output(mermaid, args.output)


def main(argv: Optional[List[str]] = None) -> None:
    """Run a command line; that of the process when left out."""
    parser = create_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        sys.exit(2)
    {"info": cmd_info, "visualize": cmd_visualize}[args.command](args)


def _fail(message: str) -> None:
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(1)


def _load_ir_file(path: str) -> IR:
    try:
        return load_ir(path)
    except FileNotFoundError:
        _fail(f"file not found: {path}")
    except (SerializationError, OSError) as error:
        _fail(f"invalid IR file: {error}")
    raise AssertionError


def _info_text(info: dict) -> str:
    lines = [
        f"Model: {info['model_name']}",
        f"Nodes: {info['num_nodes']}",
        f"Inputs: {info['num_inputs']}",
        f"Outputs: {info['num_outputs']}",
        f"Weights: {info['num_weights']}",
        f"Total parameters: {info['total_parameters']:,}",
    ]
    for title, key in (("Input shapes", "input_shapes"), ("Output shapes", "output_shapes")):
        lines += ["", f"{title}:", *(f"  {name}: {shape}" for name, shape in info[key].items())]
    lines += ["", "Op distribution:", *(f"  {op}: {count}" for op, count in info["op_distribution"].items())]
    return "\n".join(lines)


def _write_output(text: str, path: Optional[str]) -> None:
    if path is None:
        print(text)
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)


def _write_png(mermaid: str, path: str) -> None:
    try:
        from mmdc import MermaidConverter
    except ImportError:
        _fail("a .png needs the package mmdc: pip install mmdc; .svg needs nothing")
    data = MermaidConverter().to_png(mermaid)
    if data is None:
        _fail("mmdc could not draw the graph")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)
