# SPDX-License-Identifier: MIT
import copy
import math
import pickle

import numpy as np
import pytest
import torch_ir
from torch_ir import VerificationReport, compare


def test_compare_arrays():
    expected = np.array([1.0, 2.0, math.nan, math.inf], np.float32)
    assert compare(expected, expected.copy())
    result = compare(expected + np.float32(0.25), expected, rtol=0, atol=0.1)
    assert not result and not result.passed
    assert (result.max_abs, result.mean_abs, result.max_rel, result.mismatches, result.elements) == (
        0.25,
        0.25,
        0.25,
        2,
        4,
    )
    assert "2 of 4 elements differ" in result.message
    assert compare(expected + np.float32(0.25), expected, rtol=0, atol=0.25)
    assert compare(np.float32(1), np.nextafter(np.float32(1), np.float32(2)), 0, 1).max_ulp == 1
    other = compare(np.zeros((2, 3)), np.zeros((3, 2)))
    assert not other and not other.compared and other.message == "expected shape [3, 2], found [2, 3]"
    other = compare(np.zeros(2, np.float32), np.zeros(2))
    assert not other and other.message == "expected dtype float64, found float32; as float64 all elements agree"
    assert compare(3, 3) and not compare(3, 4) and not compare(True, False)


@pytest.mark.parametrize("tolerance", [-1, math.nan])
@pytest.mark.parametrize("name", ["rtol", "atol"])
def test_tolerances_that_are_none(name, tolerance):
    with pytest.raises(ValueError, match=f"{name}: expected a number that is not negative, found {tolerance}"):
        compare(np.ones(16), np.ones(16), **{name: tolerance})
    assert compare(np.ones(16), np.zeros(16), **{name: math.inf})


def test_comparisons_are_copied_and_documented():
    result = compare(np.float32(1), np.float32(2))
    for other in (copy.copy(result), copy.deepcopy([result])[0]):
        assert (other.max_abs, other.message) == (1, result.message)
    with pytest.raises(TypeError, match="cannot pickle 'Comparison' object"):
        pickle.dumps(result)
    fields = [name for name in dir(type(result)) if not name.startswith("_")]
    assert len(fields) == 14 and all(getattr(type(result), name).__doc__ for name in fields)


def test_default_tolerances_are_those_of_the_tool():
    one = np.ones(1, np.float32)
    assert compare(one * np.float32(1.00015), one) and not compare(one * np.float32(1.0003), one)
    assert not compare(np.array([7]), np.array([8]))


def test_report():
    assert str(VerificationReport(True, 1e-7, 1e-8, 2)) == (
        "Verification PASSED\n  Outputs compared: 2\n  Max difference: 1.00e-07\n  Mean difference: 1.00e-08"
    )
    assert "Error: no" in str(VerificationReport(False, error_message="no"))


torch = pytest.importorskip("torch")


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x):
        y = self.linear(x) * self.scale
        return {"y": y, "sizes": (y.sum(), None), "positive": y > 0}


def test_models_with_nested_outputs_and_hidden_buffers(tmp_path):
    with torch.device("meta"):
        with pytest.warns(UserWarning, match="'scale'"):
            ir = torch_ir.extract_ir(Two(), (torch.empty(4, 3),))
    model, inputs = Two(), (torch.randn(4, 3),)
    passed, report = torch_ir.verify_ir_with_state_dict(ir, model.state_dict(), model, inputs)
    assert passed and report.is_valid and report.num_outputs == 3 and report.max_diff < 1e-6, report
    assert [detail["shape"] for detail in report.output_details] == [[4, 2], [], [4, 2]]
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    assert torch_ir.verify_ir(ir, tmp_path / "weights.pt", model, inputs)[0]


def test_differences_and_errors_are_reports():
    model, inputs = Two(), (torch.randn(4, 3),)
    ir = torch_ir.extract_ir(model, inputs, strict=False)
    wrong = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    passed, report = torch_ir.verify_ir_with_state_dict(ir, wrong, model, inputs)
    assert not passed and report.max_diff > 0.1
    assert report.error_message.startswith("Output tensors do not match within tolerance: output 0: 8 of 8 elements")
    passed, report = torch_ir.verify_ir_with_state_dict(ir, {}, model, (inputs[0],))
    assert passed or report.error_message
    passed, report = torch_ir.verify_ir(ir, "absent.pt", model, inputs)
    assert not passed and "Weight file not found: absent.pt" in report.error_message


def test_keyword_arguments(tmp_path):
    class Scaled(torch.nn.Linear):
        def forward(self, x, *, scale, shift):
            return super().forward(x) * scale - shift

    model, x = Scaled(3, 2), torch.randn(4, 3)
    kwargs = {"scale": torch.tensor(3.0), "shift": torch.tensor(5.0)}
    ir = torch_ir.extract_ir(model, (x,), strict=False, kwargs=kwargs)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = {"shift": torch.tensor(7.0), "scale": torch.tensor(11.0)}
    for passed, report in (
        torch_ir.verify_ir_with_state_dict(ir, model.state_dict(), model, (x,), kwargs=other),
        torch_ir.verify_ir(ir, tmp_path / "weights.pt", model, (x,), kwargs=other),
    ):
        assert passed and report.max_diff < 1e-4, report
    wrong = {"scale": kwargs["scale"], "shif": kwargs["shift"]}
    _, report = torch_ir.verify_ir_with_state_dict(ir, model.state_dict(), model, (x,), kwargs=wrong)
    assert report.error_message == (
        "Verification error: kwargs: there is no 'shif'; the closest name is 'shift'; 'shift' is missing. "
        "Expected 'scale', 'shift'"
    )


def test_weights_against_the_graph():
    from torch_ir.weight_loader import validate_weights_against_ir

    model = Two()
    ir = torch_ir.extract_ir(model, (torch.randn(4, 3),), strict=False)
    values = {**model.state_dict(), "scale": model.scale}
    assert validate_weights_against_ir(values, ir) == []
    values["linear.bias"] = torch.zeros(3, dtype=torch.float64)
    del values["linear.weight"]
    assert validate_weights_against_ir(values, ir) == [
        "Missing weights: linear.weight",
        "Shape mismatch for 'linear.bias': expected (2,), got (3,)",
        "Dtype mismatch for 'linear.bias': expected float32, got float64",
    ]
