"""The source of a layer's weight: trained directly, fixed, or computed from trained arrays.

`weight` is an argument of the kinds that multiply by a weight. A computed weight is computed once per batch,
but counts for each sample, as in a batch of one.
"""

from typing import Annotated

from archcalc.layers.arguments import LayerError
from archcalc.layers.backward import Needs
from archcalc.layers.terms import Operations, Term, Weight, statistics_of, term

WAYS = ("own", "fixed", "standardized", "scaled_standardized", "weight_norm", "spectral_norm")


def read_way(value: object) -> str:
    """`"own"`, `"fixed"`, `"standardized"`, `"scaled_standardized"`, `"weight_norm"`, `"spectral_norm"`."""
    if isinstance(value, str) and value in WAYS:
        return value
    words = ", ".join(f'"{way}"' for way in WAYS)
    raise LayerError(
        f"needs one of {words}, or a tensor", help="a tensor stands for the layer that outputs it"
    )


WeightWay = Annotated[str, read_way, "layer"]


def arrays_of_way(way: str, arrays: tuple[Weight, ...]) -> tuple[Weight, ...]:
    """The arrays of a layer whose weight has this source.

    - `fixed`: not trained, such as a blur kernel. It is a buffer.
    - `scaled_standardized`: adds a trained gain for each output channel (Brock et al. 2021).
    - `weight_norm`: adds a trained length of the weights of each output channel (Salimans & Kingma 2016).
    - `spectral_norm`: adds two vectors that approximate the largest singular value. They are buffers (Miyato
      et al. 2018).
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
    """The operations that compute the weight.

    - `standardized`: mean, variance, and normalization of the weights of each output channel (Qiao et al.
      2019, Equation 5).
    - `scaled_standardized`: the same, times a gain that is scaled by the root of the fan-in.
    - `weight_norm`: the length of the weights of each output channel, and each weight times gain / length.
    - `spectral_norm`: `u·W·v`, and each weight divided by it.
    """
    values, channels, sums = _sizes_of(weight)
    outputs = weight.factors[-1]
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


def _sizes_of(weight: Weight) -> tuple[Term, Term, Term]:
    """The values of a weight, its output channels, and the additions of a sum over each of these."""
    values, (symbol, count) = weight.term, weight.factors[-1]
    fan_in = values.value // count
    return values, term((symbol, count)), term((f"({symbol}·(fan_in-1))", count * (fan_in - 1)))


# --- The backward pass -----------------------------------------------------------------------------------

COMPUTED = ("standardized", "scaled_standardized", "weight_norm", "spectral_norm")
"""The sources with a weight that is computed from arrays: `weight`, and `gain` where there is one."""


def needs_of_computed(way: str, needs: Needs) -> Needs:
    """The gradients that the layer itself must compute: its weight's, if an array behind it is trained."""
    if way not in COMPUTED or "gain" not in needs.trained:
        return needs
    return Needs(needs.inputs, (needs.trained - {"gain"}) | {"weight"})


def backward_of_way(way: str, weight: Weight, needs: Needs) -> Operations:
    """The operations for the gradients of the arrays behind a weight, from the gradient of the weight.

    Nothing is kept, because the arrays are available, and the rest is recomputed. Below, `g` is the
    gradient of the weight, `n` is the fan-in, and sums are over the weights of an output channel.

    - `standardized`: with `y` the standardized weight and `s` its deviation,
      `(g - (sum(g)/n + y * (sum(g y)/n))) / s`, as for a batch norm.
    - `scaled_standardized`: the same, times `gain / root(n)`; for the gain, `sum(g y) / root(n)`.
    - `weight_norm`: for the gain, `t = sum(g W) / length`; for `W`, `gain/length * (g - W * (t / length))`
      (Salimans & Kingma 2016, Equation 3).
    - `spectral_norm`: `(g - t * u v) / sigma`, where `sigma = u W v` and `t = sum(g W) / sigma`, with sums
      over all weights. The vectors count as constants (Miyato et al. 2018, Equation 11).
    """
    if way not in COMPUTED:
        return ()
    raw, gain = "weight" in needs.trained, "gain" in needs.trained
    if not (raw or gain or needs.any_input):
        return ()
    values, channels, sums = _sizes_of(weight)
    again: Operations
    found: Operations = ()
    if way in ("standardized", "scaled_standardized"):
        again = statistics_of(values, channels)
        if way == "scaled_standardized" and (raw or needs.any_input):
            again += (("mul", channels),)
            again += (("mul", values),) if needs.any_input else ()
        if raw or gain:
            found = ("mul", values), ("add", sums)
        if gain:
            found += (("mul", channels),)
        if raw:
            found += ("add", sums), ("div", term(("2", 2)) * channels), ("mul", values)
            found += ("add", term(("2", 2)) * values), ("mul", values)
            found += (("mul", channels),) if way == "scaled_standardized" else ()
    elif way == "weight_norm":
        again = ("mul", values), ("add", sums), ("sqrt", channels)
        if raw or needs.any_input:
            again += (("div", channels),)
        if needs.any_input:
            again += (("mul", values),)
        if raw or gain:
            found = ("mul", values), ("add", sums), ("div", channels)
        if raw:
            found += ("div", channels), ("mul", values), ("add", values), ("mul", values)
    else:
        symbol, count = weight.factors[-1]
        last = term((f"({symbol}-1)", count - 1))
        again = ("mul", values), ("add", sums), ("mul", channels), ("add", last)
        if needs.any_input:
            again += (("div", values),)
        if raw:
            found = ("mul", values), ("add", sums), ("add", last), ("div", term(("1", 1)))
            found += ("mul", channels), ("mul", values), ("add", values), ("div", values)
    return (
        *((category, count.of("weight: recomputed")) for category, count in again),
        *((category, count.of("weight: gradients of its arrays")) for category, count in found),
    )
