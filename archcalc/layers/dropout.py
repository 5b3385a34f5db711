"""Dropout of values and of whole samples. Both do nothing at inference."""

from fractions import Fraction

from archcalc.layers.arguments import Probability
from archcalc.layers.backward import Backward, Needs, mask
from archcalc.layers.base import layer
from archcalc.layers.elementwise import Elementwise
from archcalc.layers.terms import Facts, per_value, term, values_of


@layer("dropout", family="activation")
class Dropout(Elementwise, frozen=True):
    """Dropout (Hinton et al. 2012). It does nothing at inference.

    Source: Hinton et al. 2012, Improving neural networks by preventing co-adaptation of feature detectors,
    arXiv:1207.0580.

    Example: input(4096) -> dropout(0.5)
    """

    p: Probability = Fraction(1, 2)
    costs = {}

    def is_view(self, facts: Facts) -> bool:
        return self.p == 0

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        if self.p in (0, 1):
            return Backward(passes=(0,) if self.p == 0 else ())
        return Backward((mask(values_of(facts.output)),), per_value(facts.output, mul=1))


@layer("drop_path", family="activation")
class DropPath(Elementwise, frozen=True):
    """Stochastic depth: drops whole samples (Huang et al. 2016). It does nothing at inference.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth, arXiv:1603.09382.

    Example: input(96x56x56) -> drop_path(0.1)
    """

    p: Probability = 0
    costs = {}

    def is_view(self, facts: Facts) -> bool:
        return self.p == 0

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Whole samples are dropped. One byte per sample says which."""
        if self.p in (0, 1):
            return Backward(passes=(0,) if self.p == 0 else ())
        return Backward((mask(term(("1", 1))),), per_value(facts.output, mul=1))
