"""Arrays that a model computes only from sizes, such as the masks of shifted windows.

NumPy computes them here. Its views share memory as PyTorch's views do, so an operation in place changes the
array under all of its names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archcalc.importing.tensors import Unsupported
from archcalc.importing.torch_export.graph import PRIME_BATCH
from archcalc.importing.torch_export.values import AtenCall, KnownArray, Outputs, leaves, operation

MAX_VALUES = 2**22
"""Larger arrays are not computed: the sizes come from an untrusted file."""

Evaluate = Callable[[Mapping[str, Any], tuple[int, ...]], Any]

EVALUATED: dict[str, Evaluate] = {}
"""The value of an operation, from its arguments and the shape that is declared for it."""


def on_known(*names: str) -> Callable[[Evaluate], Evaluate]:
    def register(function: Evaluate) -> Evaluate:
        EVALUATED.update(dict.fromkeys(names, function))
        return function

    return register


def evaluated(
    name: str, arguments: Mapping[str, Any], shapes: Sequence[tuple[int, ...] | None]
) -> KnownArray | None:
    """Evaluate an operation that reads only numbers and known arrays; `None` for any other operation."""
    function = EVALUATED.get(name)
    (shape,) = shapes if len(shapes) == 1 else (None,)
    read = list(leaves(list(arguments.values())))
    if function is None or shape is None or math.prod(shape) > MAX_VALUES:
        return None
    if any(not isinstance(each, KnownArray | int | float | str | None) for each in read):
        return None
    plain = {key: _plain(value) for key, value in arguments.items()}
    try:
        value = function(plain, shape)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None  # the arguments come from a file, which may be wrong
    return KnownArray(value) if value.shape == shape else None


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.values if isinstance(value, KnownArray) else value


def _dtype(arguments: Mapping[str, Any], default: str = "float64") -> Any:
    """Return the data type of a result; floating-point numbers are in double precision here."""
    import numpy as np

    name = str(arguments.get("dtype") or "")
    if not name or name == "None":
        return np.dtype(default)
    if "float" in name or name in ("6", "7"):
        return np.dtype("float64")
    if "bool" in name or name == "12":
        return np.dtype("bool")
    if "int" in name or name in ("4", "5"):
        return np.dtype("int64")
    raise ValueError(name)


# --- Made from numbers -------------------------------------------------------------------------------


@on_known("zeros")
def zeros(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.zeros(shape, _dtype(arguments))


@on_known("ones")
def ones(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.ones(shape, _dtype(arguments))


@on_known("full", "scalar_tensor")
def full(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    value = arguments["fill_value"] if "fill_value" in arguments else arguments["s"]
    default = "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else "float64"
    return np.full(shape, value, _dtype(arguments, default))


@on_known("eye")
def eye(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.eye(*shape, dtype=_dtype(arguments))


@on_known("arange")
def arange(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    start, end, step = (arguments.get(name, default) for name, default in _RANGE.items())
    whole = all(isinstance(each, int) for each in (start, end, step))
    if end is None or math.ceil((end - start) / step) != math.prod(shape):
        raise ValueError
    return (np.arange(shape[0]) * step + start).astype(_dtype(arguments, "int64" if whole else "float64"))


_RANGE = {"start": 0, "end": None, "step": 1}


@on_known("linspace")
def linspace(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.linspace(arguments["start"], arguments["end"], shape[0], dtype=_dtype(arguments))


# --- Views -------------------------------------------------------------------------------------------


@on_known(
    "view", "reshape", "flatten", "_unsafe_view", "unsqueeze", "squeeze", "unflatten", "view_as", "reshape_as"
)
def view(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"].reshape(shape)


@on_known("alias", "detach", "contiguous", "lift_fresh")
def same(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"]


@on_known("clone", "lift_fresh_copy")
def copied(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"].copy()


@on_known("to", "_to_copy")
def to(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"].astype(_dtype(arguments, str(arguments["self"].dtype)))


@on_known("expand", "expand_as")
def expand(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.broadcast_to(arguments["self"], shape)


@on_known("permute")
def permute(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"].transpose(arguments["dims"])


@on_known("transpose")
def transpose(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"].swapaxes(arguments["dim0"], arguments["dim1"])


@on_known("t")
def turned(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return arguments["self"].T


@on_known("slice")
def slice_(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    values, dim = arguments["self"], arguments.get("dim", 0)
    pick = slice(arguments.get("start"), arguments.get("end"), arguments.get("step", 1))
    return values[(slice(None),) * (dim % values.ndim) + (pick,)]


@on_known("select")
def select(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    values = arguments["self"]
    # a slice instead of an index, so that a single value is still a view
    dim, index = arguments["dim"] % values.ndim, arguments["index"] % values.shape[arguments["dim"]]
    return values[(slice(None),) * dim + (slice(index, index + 1),)].reshape(shape)


# --- Values ------------------------------------------------------------------------------------------

NAMES = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "ne": "not_equal", "eq": "equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip


def _binary(name: str) -> Evaluate:
    def evaluate(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        import numpy as np

        if arguments.get("alpha", 1) != 1 or arguments.get("rounding_mode") is not None:
            raise ValueError
        return np.asarray(getattr(np, NAMES[name])(arguments["self"], arguments["other"]))

    return evaluate


EVALUATED.update({name: _binary(name) for name in NAMES})


@on_known("masked_fill")
def masked_fill(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.where(arguments["mask"], arguments["value"], arguments["self"])


@on_known("where")
def where(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.where(arguments["condition"], arguments["self"], arguments["other"])


@on_known("stack", "cat")
def joined(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np

    dim = arguments.get("dim", 0)
    parts = arguments["tensors"]
    return np.stack(parts, dim) if parts[0].ndim < len(shape) else np.concatenate(parts, dim)


@on_known("copy_", "fill_")
def fill(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """Fill an array in place: everything that shares its memory changes too."""
    values = arguments["self"]
    values[...] = arguments["src"] if "src" in arguments else arguments["value"]
    return values


@operation("new_zeros", "new_ones", "new_full", "zeros_like", "ones_like")
def new(call: AtenCall) -> Outputs:
    """An array filled with a number; the tensor argument only gives the data type."""
    import numpy as np

    call.unused("self", "size", "dtype", "layout", "device", "pin_memory", "memory_format")
    shape = call.declared()
    folded = call.batch == PRIME_BATCH and any(size % PRIME_BATCH == 0 for size in shape)
    if folded or (call.batch > 1 and shape[:1] == (call.batch,)) or math.prod(shape) > MAX_VALUES:
        raise Unsupported("it has a value for every sample")
    if "full" in call.node.target:
        value = float(call.number("fill_value"))
    else:
        value = float("ones" in call.node.target)
    return [KnownArray(np.full(shape, value))]
