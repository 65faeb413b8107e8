# SPDX-License-Identifier: MIT
"""Does a graph compute what the model does."""

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from .arguments import with_keywords
from .executor import IRExecutor
from .ir import IR
from .weight_loader import load_weights

if TYPE_CHECKING:
    import torch

    from . import _core


@dataclass
class VerificationReport:
    """What a comparison of outputs found.

    Attributes:
        is_valid: Whether all outputs agree.
        max_diff: Largest absolute difference in any output.
        mean_diff: Largest of the outputs' mean absolute differences.
        num_outputs: How many outputs were compared.
        output_details: For each output ``index``, ``shape``, ``is_close``, ``max_diff``, ``mean_diff`` and ``message``.
        error_message: Why not; None when all outputs agree.
    """

    is_valid: bool
    max_diff: float = 0.0
    mean_diff: float = 0.0
    num_outputs: int = 0
    output_details: List[Dict[str, Any]] = field(default_factory=list)
    error_message: Optional[str] = None

    def __str__(self) -> str:
        lines = [f"Verification {'PASSED' if self.is_valid else 'FAILED'}"]
        lines += [f"  Outputs compared: {self.num_outputs}"] if self.is_valid else [f"  Error: {self.error_message}"]
        lines += [f"  Max difference: {self.max_diff:.2e}", f"  Mean difference: {self.mean_diff:.2e}"]
        return "\n".join(lines)


def compare(
    actual: Any, expected: Any, rtol: Optional[float] = None, atol: Optional[float] = None
) -> "_core.Comparison":
    """Compare two arrays or tensors: ``|actual - expected| <= atol + rtol * |expected|``.

    NaN equals NaN; shapes and dtypes must be equal.

    Args:
        actual: A torch tensor, a NumPy array, a number.
        expected: The same.
        rtol: Relative tolerance; that of the dtype when left out (docs/verification.md).
        atol: Absolute tolerance; likewise.

    Returns:
        An object that is true when they agree, with ``message``, ``max_abs``, ``mean_abs``, ``max_rel``, ``max_ulp``,
        ``cosine``, ``mismatches`` and other figures.

    Raises:
        TypeError: A side is nothing that has a tensor's dtype.
        ValueError: A tolerance is negative or NaN.
    """
    from . import _core
    from .tensors import to_core

    sides = to_core(actual), to_core(expected)
    defaults = _core.default_tolerance(sides[1].dtype)
    tolerances = defaults[0] if rtol is None else rtol, defaults[1] if atol is None else atol
    for name, tolerance in zip(("rtol", "atol"), tolerances):
        if not tolerance >= 0:
            raise ValueError(f"{name}: expected a number that is not negative, found {tolerance}")
    return _core.compare(*sides, *tolerances)


def verify_ir(
    ir: IR,
    weights_path: Union[str, "os.PathLike[str]"],
    original_model: "torch.nn.Module",
    test_inputs: Tuple[Any, ...],
    rtol: float = 1e-5,
    atol: float = 1e-5,
    constants: Optional[Dict[str, Any]] = None,
    *,
    kwargs: Optional[Dict[str, Any]] = None,
    seed: Optional[int] = None,
) -> Tuple[bool, VerificationReport]:
    """Whether a graph with the weights in a file computes what a model does.

    Args:
        ir: The graph.
        weights_path: The weight file.
        original_model: The model with its weights loaded; it is put into evaluation mode.
        test_inputs: Its positional arguments.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        constants: Values of lifted constants, for a graph that was extracted on the meta device.
        kwargs: Keyword arguments of the model, those of the extraction.
        seed: Random ops of both draw what PyTorch draws after ``torch.manual_seed(seed)``.

    Returns:
        Whether all outputs agree, and a report. An error is a report, too.
    """
    return _verify(
        ir, lambda: load_weights(weights_path), original_model, test_inputs, rtol, atol, constants, kwargs, seed
    )


def verify_ir_with_state_dict(
    ir: IR,
    state_dict: Dict[str, Any],
    original_model: "torch.nn.Module",
    test_inputs: Tuple[Any, ...],
    rtol: float = 1e-5,
    atol: float = 1e-5,
    constants: Optional[Dict[str, Any]] = None,
    *,
    kwargs: Optional[Dict[str, Any]] = None,
    seed: Optional[int] = None,
) -> Tuple[bool, VerificationReport]:
    """The same as :func:`verify_ir` with weights by ``state_dict`` key instead of a file."""
    return _verify(ir, lambda: state_dict, original_model, test_inputs, rtol, atol, constants, kwargs, seed)


def _verify(
    ir: IR,
    weights: Callable[[], Dict[str, Any]],
    model: "torch.nn.Module",
    inputs: Tuple[Any, ...],
    rtol: float,
    atol: float,
    constants: Optional[Dict[str, Any]],
    kwargs: Optional[Dict[str, Any]],
    seed: Optional[int],
) -> Tuple[bool, VerificationReport]:
    try:
        # The graph runs first: a model may change its inputs and buffers.
        values = {**_other_buffers(model), **weights()}
        actual = IRExecutor(ir, values, constants).execute(with_keywords(ir, inputs, kwargs), seed=seed)
        return _verify_outputs(_run_original_model(model, inputs, kwargs, seed), actual, rtol, atol)
    except Exception as error:
        return False, VerificationReport(is_valid=False, error_message=f"Verification error: {error}")


def _other_buffers(model: "torch.nn.Module") -> Dict[str, Any]:
    """Buffers that are not in the state_dict, as far as they have values."""
    return {name: buffer for name, buffer in model.named_buffers() if buffer.device.type != "meta"}


def _run_original_model(
    model: "torch.nn.Module", inputs: Tuple[Any, ...], kwargs: Optional[Dict[str, Any]], seed: Optional[int]
) -> Tuple[Any, ...]:
    import torch

    from .tensors import flatten

    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return tuple(leaf for leaf in flatten(model(*inputs, **(kwargs or {}))) if leaf is not None)


def _verify_outputs(
    original_outputs: Sequence[Any], ir_outputs: Sequence[Any], rtol: float, atol: float
) -> Tuple[bool, VerificationReport]:
    if len(original_outputs) != len(ir_outputs):
        message = f"Output count mismatch: original={len(original_outputs)}, ir={len(ir_outputs)}"
        return False, VerificationReport(is_valid=False, num_outputs=len(ir_outputs), error_message=message)
    report = VerificationReport(is_valid=True, num_outputs=len(ir_outputs))
    problems = []
    for index, (expected, actual) in enumerate(zip(original_outputs, ir_outputs)):
        result = compare(actual, expected, rtol, atol)
        max_diff, mean_diff = (result.max_abs, result.mean_abs) if result.compared else (math.inf, math.inf)
        report.output_details.append(
            {
                "index": index,
                "shape": list(getattr(expected, "shape", ())),
                "is_close": result.passed,
                "max_diff": max_diff,
                "mean_diff": mean_diff,
                "message": result.message,
            }
        )
        report.max_diff = max(report.max_diff, max_diff)
        report.mean_diff = max(report.mean_diff, mean_diff)
        if not result.passed:
            problems.append(f"output {index}: {result.message}")
    if problems:
        report.is_valid = False
        report.error_message = "Output tensors do not match within tolerance: " + "; ".join(problems)
    return report.is_valid, report
