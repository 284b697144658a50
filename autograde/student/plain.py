"""Values as plain data: what crosses the wall between a student's process and the judge.

Nothing here runs code when it reads (no pickle), so a hostile sender can at most be wrong.
A packed value is JSON: {"kind": "tensor", "dtype": "float32", "shape": [2], "data": [1.0, 2.0]}.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

MAX_ELEMENTS = 200_000  # in one packed value
MAX_DEPTH = 6
MAX_AXES = 16

TENSOR_DTYPES: dict[str, torch.dtype] = {
    str(d).removeprefix("torch."): d
    for d in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
    )
}  # fmt: skip

Packed = dict[str, Any]


class PlainError(ValueError):
    """The data does not describe a value."""


def _number(x: Any) -> Any:
    """A JSON-safe number: NaN and infinities travel as text, floats with 9 significant digits."""
    if isinstance(x, bool | int):
        return x
    if math.isfinite(x):
        return float(f"{x:.9g}")
    return repr(x)  # 'nan', 'inf', '-inf'


def pack(value: Any, depth: int = 0) -> Packed:
    """Describe `value` as plain data. Anything without a plain form becomes kind "other"."""
    other = {"kind": "other", "type": type(value).__name__[:80]}
    if value is None:
        return {"kind": "none"}
    if isinstance(value, torch.Tensor | np.ndarray):
        dtype = str(value.dtype).removeprefix("torch.")
        shape = [int(n) for n in value.shape]
        if dtype not in TENSOR_DTYPES:
            return other
        if math.prod(shape) > MAX_ELEMENTS:
            return {"kind": "too large", "shape": shape[:8]}
        plain = value.detach().cpu() if isinstance(value, torch.Tensor) else value
        return {
            "kind": "tensor" if isinstance(value, torch.Tensor) else "array",
            "dtype": dtype,
            "shape": shape,
            "data": [_number(x) for x in plain.reshape(-1).tolist()],
        }
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float):
        if isinstance(value, int) and abs(value) > 2**63:
            return other
        return {"kind": "number", "data": _number(value)}
    if isinstance(value, str):
        return {"kind": "text", "data": value[:2000]}
    if isinstance(value, list | tuple) and depth < MAX_DEPTH and len(value) <= 1000:
        return {"kind": "list", "data": [pack(v, depth + 1) for v in value]}
    if isinstance(value, dict) and depth < MAX_DEPTH and len(value) <= 1000:
        return {"kind": "dict", "data": {str(k)[:80]: pack(v, depth + 1) for k, v in value.items()}}
    return other


def unpack(packed: Any, depth: int = 0) -> Any:
    """The value that `pack` described; PlainError if the data is not one."""
    if not isinstance(packed, dict) or depth > MAX_DEPTH + 1:
        raise PlainError(f"a packed value is a dict with a kind, got {type(packed).__name__}")
    kind, data = packed.get("kind"), packed.get("data")
    if kind == "none":
        return None
    if kind in ("tensor", "array"):
        return _unpack_tensor(packed)
    if kind == "number":
        if isinstance(data, bool | float) or (isinstance(data, int) and abs(data) <= 2**63):
            return data
        if data in ("nan", "inf", "-inf"):
            return float(data)
    if kind == "text" and isinstance(data, str):
        return data
    if kind == "list" and isinstance(data, list):
        return [unpack(v, depth + 1) for v in data]
    if kind == "dict" and isinstance(data, dict):
        return {str(k): unpack(v, depth + 1) for k, v in data.items()}
    raise PlainError(f"no plain value of kind {kind!r}")


def _unpack_tensor(packed: Packed) -> torch.Tensor | np.ndarray:
    dtype, shape, data = packed.get("dtype"), packed.get("shape"), packed.get("data")
    if not isinstance(dtype, str) or dtype not in TENSOR_DTYPES:
        raise PlainError(f"a packed tensor has one of the dtypes {', '.join(TENSOR_DTYPES)}")
    if not isinstance(shape, list) or not isinstance(data, list):
        raise PlainError("a packed tensor needs dtype, shape and data")
    if not all(type(n) is int and 0 <= n <= MAX_ELEMENTS for n in shape):
        raise PlainError("a packed tensor's shape holds whole numbers")
    if len(shape) > MAX_AXES:
        raise PlainError(f"a packed tensor has at most {MAX_AXES} axes")
    if len(data) > MAX_ELEMENTS or math.prod(shape) != len(data):
        raise PlainError("a packed tensor's data does not fill its shape")
    try:
        tensor = torch.tensor(
            [float(x) if isinstance(x, str) else x for x in data], dtype=TENSOR_DTYPES[dtype]
        ).reshape(shape)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise PlainError("a packed tensor holds something that is no number") from error
    if packed["kind"] == "array" and dtype != "bfloat16":
        return tensor.numpy()
    return tensor
