"""Which output channels read which input channels.

A set of channels is a whole number: bit `c` is set if channel `c` is in the set. Each function takes a set of
input channels and returns the output channels that read at least one of them, in linear time.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_CHANNELS = 65_536
"""The most channels whose receptive fields are tracked separately. At this number a set takes 8 kB."""


def all_of(count: int) -> int:
    """The first `count` channels."""
    return (1 << count) - 1


def moved(channels: int, by: int, count: int) -> int:
    """Channels that move up by `by`, or down if it is negative. The output has `count` channels."""
    return (channels << by if by >= 0 else channels >> -by) & all_of(count)


def rotated(channels: int, by: int, count: int) -> int:
    """Channels that move up by `by`, or down if it is negative, and wrap around at the ends."""
    by %= count
    return moved(channels, by, count) | moved(channels, by - count, count)


def divided(channels: int, count: int, outputs: int) -> int:
    """The values of `count` channels in order, divided equally among `outputs` channels.

    If there are more outputs than channels, several outputs read each channel. If there are fewer, each
    output reads several channels. The order of the bits does not matter, because the division is symmetric.
    """
    if count == outputs:
        return channels
    digits = format(channels, f"0{count}b")
    ends = [(o * count // outputs, -(-(o + 1) * count // outputs)) for o in range(outputs)]
    return int("".join("1" if "1" in digits[start:stop] else "0" for start, stop in ends), 2)


def grouped(channels: int, count: int, groups: int, outputs: int) -> int:
    """`count` channels in equal groups: each output of a group reads all channels of the group."""
    if groups == 1:
        return all_of(outputs)
    return divided(divided(channels, count, groups), groups, outputs)


def shuffled(channels: int, count: int, groups: int) -> int:
    """Channel `i` of group `g` moves to `i * groups + g`, counted from either end."""
    size = count // groups
    digits = format(channels, f"0{count}b").encode()
    placed = bytearray(count)
    for group in range(groups):
        placed[group::groups] = digits[group * size : (group + 1) * size]
    return int(placed, 2)


def picked(channels: int, rows: Sequence[Sequence[int]]) -> int:
    """Output channel `o` reads the channels in `rows[o]`."""
    chosen = {channel for channel, digit in enumerate(reversed(format(channels, "b"))) if digit == "1"}
    read = ["0" if chosen.isdisjoint(row) else "1" for row in reversed(rows)]
    return int("".join(read), 2)


def widened(channels: int, count: int, before: int, after: int) -> int:
    """Each output channel also reads the `before` channels before it and the `after` channels after it."""
    before, after = min(before, count), min(after, count)
    width, read = 1, channels
    while width <= before + after:  # each channel has become `width` channels, from it upward
        step = min(width, before + after + 1 - width)
        read |= read << step
        width += step
    return (read >> after) & all_of(count)
