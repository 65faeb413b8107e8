# SPDX-License-Identifier: MIT
"""Reads, checks, draws and runs the graphs of PyTorch models.

The work is done in C++; torch is imported only by functions that are given torch objects::

    import torch, torch_ir

    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU()).eval()
    x = torch.randn(2, 8)
    ir = torch_ir.extract_ir(model, (x,), strict=False)
    (y,) = torch_ir.execute_ir(ir, (x,), weights=model.state_dict())

The interface is that of pytorch-ir 0.2.3, which has the same import name, and more; docs/python.md describes it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import get_threads, set_threads
    from .converter import ConversionError, convert_exported_program
    from .executor import ExecutionError, IRExecutor, execute_ir
    from .exporter import ExportError, export_model, extract_ir
    from .ir import IR, OpNode, TensorMeta
    from .ops.registry import register_executor, register_op
    from .serializer import SerializationError, deserialize_ir, load_ir, save_ir, serialize_ir, validate_ir
    from .tensors import astype
    from .verifier import VerificationReport, compare, verify_ir, verify_ir_with_state_dict
    from .visualize import generate_op_distribution_pie, ir_to_mermaid
    from .weight_loader import WeightLoadError, load_weights, load_weights_pt, load_weights_safetensors

__version__ = "0.1.0"

# Where each name is defined. Modules are imported when a name of theirs is first used.
_MODULES = {
    "exporter": ("extract_ir", "export_model", "ExportError"),
    "converter": ("convert_exported_program", "ConversionError"),
    "ir": ("IR", "OpNode", "TensorMeta"),
    "serializer": ("serialize_ir", "deserialize_ir", "save_ir", "load_ir", "validate_ir", "SerializationError"),
    "executor": ("IRExecutor", "execute_ir", "ExecutionError"),
    "weight_loader": ("load_weights", "load_weights_pt", "load_weights_safetensors", "WeightLoadError"),
    "verifier": ("verify_ir", "verify_ir_with_state_dict", "compare", "VerificationReport"),
    "ops.registry": ("register_op", "register_executor"),
    "visualize": ("ir_to_mermaid", "generate_op_distribution_pie"),
    "tensors": ("astype",),
    "_core": ("set_threads", "get_threads"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = frozenset(module.partition(".")[0] for module in _MODULES) | {"analyzer", "cli"}

__all__ = list(_HOME)


def __getattr__(name: str):
    from importlib import import_module

    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _SUBMODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOME, *_SUBMODULES})
