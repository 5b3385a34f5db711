"""A tiny network whose figures are worked out by hand."""

from __future__ import annotations

# stem: 3*4*4*5 + 4 = 244; a: 4*4*3*3 + 2*4 = 152; fc: 128*10 + 10 = 1290; 1686 in all.
# macs: 240 on 8x4 places, 144 on 8x4, 1280: 7680 + 4608 + 1280 = 13568. early: 4*2 + 2 = 10.
LAYERS = """\
# A tiny network, Nobody 2001
net tiny(c=4, image=3x9x10) {
  input(image)
  stem: conv(c, 4x5, stride=1x2, padding=1) -> relu
  aux early = global_avgpool -> flatten -> fc(2)
  a: { conv(c, 3, padding=1, bias=false) -> bn }
  add(identity, a -> relu)
  flatten -> fc(10)
"""


def tiny(expectations: str = "") -> str:
    """The text of the network, with these lines at its end."""
    return f"{LAYERS}{expectations}}}\n"
