# SPDX-License-Identifier: MIT
"""Names of ops."""

from typing import Any


def get_op_type(target: Any) -> str:
    """The op_type of the target of an FX node: ``aten.conv2d.default``, ``higher_order.cond``, ``_operator.add``."""
    text = str(target)
    if text.startswith("aten."):
        return text
    if "torch.ops." in text:
        return text.replace("torch.ops.", "").split()[0]
    if "aten::" in text:
        return text.replace("aten::", "aten.")
    kind = type(target).__name__
    if kind in ("OpOverload", "str"):
        return text
    if not hasattr(target, "__name__") or target.__name__ == "getitem":
        return text
    module = "higher_order" if "torch._ops" in {base.__module__ for base in type(target).__mro__} else target.__module__
    return f"{module}.{target.__name__}"
