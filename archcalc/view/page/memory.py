"""Memory over time on the page: the tensors of a run or of a training step, and when each is alive."""

from __future__ import annotations

from typing import Any

from archcalc.memory.timeline import CATEGORIES, Stretch
from archcalc.profile import Profile
from archcalc.report.memory.text import when
from archcalc.report.memory.usage import MemoryAsked, usage_of
from archcalc.view.page.figures import LARGEST_EXACT, Interned, leaves
from archcalc.view.page.texts import PATH
from archcalc.view.structure import Structure


def memory_data(profile: Profile, structure: Structure, *, training: bool) -> dict[str, Any]:
    """Return the moments and tensors of a run, or of a step with `training`, as columns.

    A tensor is alive from the moment `born` and for `stays` more moments. If sizes are too large for
    JavaScript numbers, only the peak is given.
    """
    asked = MemoryAsked(
        batch=profile.batch,
        dtype=profile.dtype,
        optimizer=profile.optimizer.name,
        heads=profile.heads,
        is_inference=not training,
    )
    usage = usage_of(profile.network, asked)
    title = "a training step" if training else "running it once"
    if usage.peak[0] > LARGEST_EXACT:
        return {"title": title, "peak": str(usage.peak[0]), "is_too_large": True}
    timeline, names = usage.timeline, Interned()
    tensors = [tensor for tensor in timeline.tensors if tensor.size.of(profile.batch)]
    leaf = leaves(structure)
    position = {index: leaf[place] for index, place in structure.positions.items()}
    phases = Interned()
    return {
        "title": title,
        "phases": phases.values,
        "phase": [phases.number(moment.phase) for moment in timeline.moments],
        "at": [-1 if node is None else position[node.index] for _, node in timeline.moments],
        "categories": [[name, CATEGORIES[name]] for name in usage.categories],
        "names": names.values,
        "name": [names.number(_name(tensor)) for tensor in tensors],
        "node": [-1 if tensor.node is None else position[tensor.node.index] for tensor in tensors],
        "category": [usage.categories.index(tensor.category) for tensor in tensors],
        "bytes": [tensor.size.of(profile.batch) for tensor in tensors],
        "born": [tensor.born for tensor in tensors],
        "stays": [tensor.last - tensor.born for tensor in tensors],
        "peak": usage.peak[0],
        "at_peak": list(usage.at_peak().values()),
        "moment": usage.peak[1],
        "when": when(usage.moment),
        "left_out": list(usage.not_counted),
    }


def _name(tensor: Stretch) -> str:
    """Return the name of a tensor, with `\0` in place of the path of its layer."""
    if tensor.node is None:
        return tensor.name
    return tensor.name.replace(tensor.node.name, PATH, 1)
