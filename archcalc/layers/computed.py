"""Where the weight of a layer comes from: trained as it is, fixed, or computed from what is trained.

`weight` is an argument of the kinds that multiply by one. A computed weight is computed once, whatever the
batch, and is counted for each sample, as if samples came one by one.
"""

from typing import Annotated

from archcalc.layers.arguments import LayerError
from archcalc.layers.terms import Operations, Weight, statistics_of, term

WAYS = ("own", "fixed", "standardized", "scaled_standardized", "weight_norm", "spectral_norm")


def read_way(value: object) -> str:
    """`"own"`, `"fixed"`, `"standardized"`, `"scaled_standardized"`, `"weight_norm"`, `"spectral_norm"`."""
    if isinstance(value, str) and value in WAYS:
        return value
    words = ", ".join(f'"{way}"' for way in WAYS)
    raise LayerError(f"needs one of {words}, or a tensor", help="a tensor stands for the layer it comes from")


WeightWay = Annotated[str, read_way, "layer"]


def arrays_of_way(way: str, arrays: tuple[Weight, ...]) -> tuple[Weight, ...]:
    """The arrays of a layer whose weight comes about in this way.

    - `fixed`: not trained, such as a blur kernel: a buffer.
    - `scaled_standardized`: a trained gain for each output channel (Brock et al. 2021).
    - `weight_norm`: the length of each output channel's weights, trained apart (Salimans & Kingma 2016).
    - `spectral_norm`: two vectors that follow the largest singular value, buffers (Miyato et al. 2018).
    """
    weight, *others = arrays
    outputs = weight.factors[-1]
    if way == "fixed":
        return (Weight(weight.name, weight.factors, "buffer"), *others)
    if way in ("scaled_standardized", "weight_norm"):
        return (weight, Weight("gain", (outputs,), "norm"), *others)
    if way == "spectral_norm":
        rows = Weight("u", (outputs,), "buffer")
        return (weight, rows, Weight("v", weight.factors[:-1], "buffer"), *others)
    return arrays


def operations_of_way(way: str, weight: Weight) -> Operations:
    """What computing the weight takes.

    - `standardized`: mean, variance and normalization of the weights of each output channel (Qiao et al.
      2019, Equation 5).
    - `scaled_standardized`: the same, times a gain that is scaled by the root of the fan-in.
    - `weight_norm`: the length of the weights of each output channel, and each weight times gain / length.
    - `spectral_norm`: `u·W·v`, and each weight divided by it.
    """
    values = weight.term
    outputs = weight.factors[-1]
    channels = term(outputs)
    fan_in = values.value // outputs[1]
    sums = term((f"({outputs[0]}·(fan_in-1))", outputs[1] * (fan_in - 1)))
    if way == "standardized":
        return statistics_of(values, channels)
    if way == "scaled_standardized":
        return (*statistics_of(values, channels), ("mul", channels), ("mul", values))
    if way == "weight_norm":
        return (
            ("mul", values),
            ("add", sums),
            ("sqrt", channels),
            ("div", channels),
            ("mul", values),
        )
    if way == "spectral_norm":
        last = term((f"({outputs[0]}-1)", outputs[1] - 1))
        return ("mul", values), ("add", sums), ("mul", channels), ("add", last), ("div", values)
    return ()
