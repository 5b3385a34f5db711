"""What papers measure of the shipped networks: accuracies and errors, as the claims cite them."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from archcalc.audit.claims import MEASURED, read_decks, shipped_files
from archcalc.diagnostics import unknown


class Measurement(Struct, frozen=True):
    """A measured figure in percent, of what the command line calls a `NET`, and where it is printed."""

    id: str
    net: str
    quantity: str
    value: Fraction
    place: str


def measurements(quantity: str) -> list[Measurement]:
    """The cited figures of a quantity, `top1` for instance, in the order of the claims.

    Raises `ArchError` for a quantity that nobody measures.

    >>> [float(one.value) for one in measurements("top1") if one.net == "vgg16"]
    [71.5]
    """
    if quantity not in MEASURED:
        raise unknown("nobody measures", quantity, MEASURED, listing="measured")
    return [
        Measurement(claim.id, claim.net.text, quantity, claim.measured, claim.place)
        for deck in read_decks(shipped_files())
        for claim in deck.claims
        if claim.quantity == quantity and claim.net is not None and claim.measured is not None
    ]
