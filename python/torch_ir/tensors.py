# SPDX-License-Identifier: MIT
"""Arrays in and out of the interpreter, sharing memory: NumPy arrays, torch tensors, DLPack, buffers.

NumPy has no bfloat16, float8, complex32 and quantised dtypes. Arrays of these are structured arrays with one field that
is called by PyTorch's name of the dtype and holds the bits: ``array["bfloat16"]`` is an array of uint16. Arithmetic on
them is an error instead of nonsense; :func:`astype` converts. Arrays of the package ml_dtypes are taken as they are.
"""

import sys
from functools import lru_cache
from typing import Any, Dict, List, Optional

import numpy as np

from . import _core
from .ir import decode_value, encode_value, torch_name

_PLAIN = frozenset(
    ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
    + ["float16", "float32", "float64", "complex64", "complex128"]
)
#: Bytes of the dtypes that NumPy does not have.
_OPAQUE = {
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "float4_e2m1fn_x2": 1,
    "complex32": 4,
    "qint8": 1,
    "quint8": 1,
    "qint32": 4,
    "quint4x2": 1,
    "quint2x4": 1,
    "bits8": 1,
    "bits16": 2,
}


def torch_if_imported() -> Optional[Any]:
    """The module torch if the program has imported it, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and hasattr(torch, "Tensor") else None


def is_torch_tensor(value: Any) -> bool:
    """Whether the value is a torch tensor; does not import torch."""
    torch = torch_if_imported()
    return torch is not None and isinstance(value, torch.Tensor)


@lru_cache(maxsize=None)
def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype for a dtype by PyTorch's name.

    Raises:
        TypeError: PyTorch has no such dtype.
    """
    if name in _PLAIN:
        return np.dtype(name)
    if name in _OPAQUE:
        return np.dtype([(name, f"<u{_OPAQUE[name]}")])
    raise TypeError(f"unknown dtype '{name}'")


def dtype_name(value: Any) -> str:
    """PyTorch's name of the dtype of an array or tensor.

    Raises:
        TypeError: PyTorch has no such dtype.
    """
    if isinstance(value, _core.Tensor):
        return value.dtype
    dtype = value.dtype
    if not isinstance(dtype, np.dtype):
        return torch_name(dtype)
    names = dtype.names or (dtype.name,)
    if len(names) == 1 and (names[0] in _PLAIN or _OPAQUE.get(names[0]) == dtype.itemsize):
        return names[0]
    raise TypeError(f"PyTorch has no dtype like NumPy's {dtype}")


def to_core(value: Any) -> _core.Tensor:
    """The memory of an array as the interpreter sees it. Nothing is copied, unless strides are negative, the memory is
    unaligned or of the other byte order.

    Args:
        value: A torch tensor on the CPU, a NumPy array, or an object with ``__dlpack__``, the array interface or the
            buffer protocol, or what :func:`numpy.asarray` takes.

    Raises:
        TypeError: The dtype or the kind of tensor (sparse, quantised, on another device) is not supported.
    """
    if isinstance(value, _core.Tensor):
        return value
    if is_torch_tensor(value):
        return _from_torch(value)
    if not isinstance(value, (np.ndarray, np.generic)) and hasattr(value, "__dlpack__"):
        return _core.Tensor.from_dlpack(value)
    array = np.asarray(value)
    name = dtype_name(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    size = array.dtype.itemsize
    if not array.flags.aligned or any(stride < 0 or stride % size for stride in array.strides):
        array = np.array(array, order="C")
    address, readonly = array.__array_interface__["data"]
    strides = [stride // size for stride in array.strides]
    return _core.Tensor.from_address(address, name, list(array.shape), strides, array, readonly)


def _from_torch(tensor: Any) -> _core.Tensor:
    if tensor.device.type != "cpu":
        raise TypeError(f"expected a tensor on the CPU, found one on the device '{tensor.device}'")
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        raise TypeError(f"expected a dense tensor, found one with layout {tensor.layout} and dtype {tensor.dtype}")
    tensor = tensor.detach()
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    name = torch_name(tensor.dtype)
    return _core.Tensor.from_address(tensor.data_ptr(), name, list(tensor.shape), list(tensor.stride()), tensor)


class _Memory:
    """What NumPy makes an array of and keeps alive with it."""

    def __init__(self, tensor: _core.Tensor, typestr: str):
        self._tensor = tensor
        self.__array_interface__ = tensor.array_interface(typestr)


def to_numpy(tensor: _core.Tensor) -> np.ndarray:
    """A NumPy array over the memory of a tensor of the interpreter."""
    dtype = numpy_dtype(tensor.dtype)
    bits = np.dtype(f"<u{dtype.itemsize}") if dtype.names else dtype
    array = np.asarray(_Memory(tensor, bits.str))
    return array.view(dtype) if dtype.names else array


def to_torch(tensor: _core.Tensor) -> Any:
    """A torch tensor over the memory of a tensor of the interpreter."""
    import torch

    name = tensor.dtype
    dtype = numpy_dtype(name)
    bits = np.dtype(f"<i{dtype.itemsize}") if dtype.names or name in ("uint16", "uint32", "uint64") else dtype
    if tensor.readonly:
        tensor = tensor.copy()
    result = torch.from_numpy(np.asarray(_Memory(tensor, bits.str)))
    return result if bits is dtype else result.view(getattr(torch, name))


def from_core(value: Any, framework: str) -> Any:
    """A tensor of the interpreter as an array of the framework ``"torch"`` or ``"numpy"``; other values as they are."""
    if not isinstance(value, _core.Tensor):
        return value
    return to_torch(value) if framework == "torch" else to_numpy(value)


def astype(array: Any, dtype: str) -> np.ndarray:
    """A NumPy array converted to any of PyTorch's dtypes, also those that NumPy lacks, with PyTorch's rounding.

    Args:
        array: A NumPy array or what :func:`to_core` takes.
        dtype: PyTorch's name, ``"bfloat16"``.

    Raises:
        TypeError: A dtype is unknown.
        ValueError: There is no conversion between the two dtypes.
    """
    numpy_dtype(dtype)
    return to_numpy(to_core(array).to(dtype))


def flatten(value: Any) -> List[Any]:
    """The leaves of nested lists, tuples and dicts; with torch imported, of all that its pytrees know."""
    if torch_if_imported() is not None:
        from torch.utils import _pytree

        return _pytree.tree_leaves(value)
    if isinstance(value, (list, tuple)):
        return [leaf for element in value for leaf in flatten(element)]
    if isinstance(value, dict):
        return [leaf for element in value.values() for leaf in flatten(element)]
    return [value]


def take_apart(weights: Dict[str, Any]) -> Dict[str, Any]:
    """Weights by name, subclasses of torch.Tensor (torchao's quantised ones) as the tensors they are made of:
    ``linear.weight.qdata``."""
    if not any(_is_wrapper(value) for value in weights.values()):
        return weights
    result: Dict[str, Any] = {}
    for name, value in weights.items():
        if _is_wrapper(value):
            inner = {f"{name}.{key}": getattr(value, key) for key in value.__tensor_flatten__()[0]}
            result.update(take_apart(inner))
        else:
            result[name] = value
    return result


def _is_wrapper(value: Any) -> bool:
    return is_torch_tensor(value) and hasattr(value, "__tensor_flatten__")


def encode_constant(value: Any) -> Dict[str, Any]:
    """Values of a constant in the form that the JSON IR has for them."""
    tensor = to_core(value)
    name, shape = tensor.dtype, list(tensor.shape)
    if name in ("bfloat16", "float16"):
        tensor = tensor.to("float32")
    array = to_numpy(tensor)
    if array.dtype.names or name == "uint64":
        return {"bytes": list(np.ascontiguousarray(array).tobytes()), "dtype": name, "shape": shape}
    data = array.tolist()
    if array.dtype.kind == "c" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        data = encode_value(data)
    return {"data": data, "dtype": name, "shape": shape}


def decode_constant(data: Dict[str, Any]) -> Any:
    """The reverse of :func:`encode_constant`: a torch tensor when torch is imported, else a NumPy array."""
    name = torch_name(data["dtype"])
    dtype = numpy_dtype(name)
    if "bytes" in data:
        array = np.frombuffer(bytes(data["bytes"]), dtype).reshape(data["shape"]).copy()
    else:
        plain = dtype if not dtype.names else np.dtype("float32")
        array = np.array(decode_value(data["data"]), plain)
        array = array.reshape(data.get("shape", array.shape))
        if dtype.names:
            array = astype(array, name)
    return to_torch(to_core(array)) if torch_if_imported() is not None else array
