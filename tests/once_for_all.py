"""A once-for-all space (Cai et al. 2020): 46 choices of depth, kernel size, expansion and resolution."""

from __future__ import annotations

HEAD = """
block mb(c, kernel_size, expand, stride) {
  x = identity
  conv(expand * channels, 1, bias=false) -> bn -> hardswish
  depthwise(kernel_size, stride, padding=kernel_size // 2, bias=false) -> bn -> hardswish
  conv(c, 1, bias=false) -> bn
  if stride == 1 and channels(x) == c { add(x, identity) }
}
"""

TAIL = """
  conv(960, 1, bias=false) -> bn -> hardswish
  global_avgpool -> flatten -> fc(1280) -> hardswish -> fc(1000)
}
"""

UNITS = ((1, 24, 2), (2, 40, 2), (3, 80, 2), (4, 112, 1), (5, 160, 2))
"""Each unit with its channels and its stride."""

LAYERS = (1, 2, 3, 4)


def once_for_all() -> tuple[str, list[str]]:
    """The text of the network, and the values of its parameters for `--set`."""
    each = [f"{unit}{layer}" for unit, _, _ in UNITS for layer in LAYERS]
    kernels, expansions = [f"k{name}" for name in each], [f"e{name}" for name in each]
    depths = [f"d{unit}" for unit, _, _ in UNITS]
    defaults = [f"{name}=3" for name in kernels + expansions] + [f"{name}=2" for name in depths]
    lines = [HEAD, f"net ofa({', '.join(defaults)}, resolution=224) {{"]
    lines.append("  input([3, resolution, resolution])")
    lines.append("  conv(16, 3, stride=2, padding=1, bias=false) -> bn -> hardswish")
    for unit, channels, stride in UNITS:
        lines.append(f"  unit{unit}: {{")
        for layer in LAYERS:
            name = f"{unit}{layer}"
            call = f"mb({channels}, k{name}, e{name}, {stride if layer == 1 else 1})"
            lines.append(f"    {call}" if layer <= 2 else f"    if d{unit} >= {layer} {{ {call} }}")
        lines.append("  }")
    sets = [f"{name}=3,5,7" for name in kernels] + [f"{name}=3,4,6" for name in expansions]
    sets += [f"{name}=2,3,4" for name in depths] + ["resolution=128..224:4"]
    return "\n".join(lines) + TAIL, sets
