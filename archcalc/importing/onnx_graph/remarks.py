"""Notes on what exporters did to a model, if the file shows it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from archcalc.diagnostics import ArchError
from archcalc.importing.assembly import Path
from archcalc.importing.onnx_graph.arrays import MAX_FOLDED, OnnxArray, shown
from archcalc.importing.onnx_graph.modules import FUSED, RULES, SOURCE, metadata
from archcalc.importing.onnx_graph.records import OnnxModelRecord, OnnxNodeRecord
from archcalc.render.numbers import plural

KIND = "pkg.torch.export.graph_signature.InputSpec.kind"
NO_BIAS = "RemoveOptionalBiasFrom"

_MADE = re.compile(r"onnx::Conv(Transpose)?_\d+")
"""The names of arrays that PyTorch's older exporter computes from those of two layers."""

_COMPUTED = re.compile(r"onnx::\w+_\d+")
"""The names of all arrays that it computes."""

_OF_PYTORCH = re.compile(r"onnx::\w+_\d+|[\w.]+\.(weight|bias|running_mean|running_var)")
"""The names of its arrays: parameters, and arrays that it creates."""

_THREE = re.compile(r"\(args = \(%\w+, %\w+, %\w+")


class ExporterTraces:
    """The traces that PyTorch's exporters leave in a model.

    Both store equal arrays once. The older one writes an `Identity` with the name of
    each other array. The newer one writes nothing. For it, arrays of one repeated number (zeros, ones) are
    counted for each module that uses them; all other arrays are assumed to be shared.
    """

    def __init__(self, model: OnnxModelRecord) -> None:
        assert model.graph is not None
        is_pytorch = model.producer == "pytorch"
        self.is_newer = is_pytorch and any(
            entry.key.startswith("pkg.torch") for node in model.graph.nodes[:50] for entry in node.metadata
        )
        self.buffers = {
            value.name
            for value in (*model.graph.values, *model.graph.inputs)
            if any(entry.key == KIND and "BUFFER" in entry.value for entry in value.metadata)
        }
        self._trained = {
            value.name
            for value in (*model.graph.values, *model.graph.inputs)
            if any(entry.key == KIND and "PARAMETER" in entry.value for entry in value.metadata)
        }
        self._is_pytorch = is_pytorch
        self._has_training = bool(model.training)
        self._uses: dict[str, dict[Path, str]] = {}
        self._merged: set[str] = set()
        self._folded = sum(map(self.is_folded, model.graph.nodes))
        self._unbiased = sum(map(self._has_lost_bias, model.graph.nodes))

    def is_parameter(self, name: str) -> bool:
        """Whether an array of one number is trained; the older exporter only shows it by a module's name."""
        if self.is_newer:
            return name in self._trained
        return self._is_pytorch and not name.startswith(("onnx::", "/")) and not name.isdecimal()

    def is_made(self, name: str) -> bool:
        """Whether an array is neither a parameter nor a buffer of the module."""
        return bool(self._trained) and name not in self._trained and name not in self.buffers

    def is_computed(self, array: OnnxArray) -> bool:
        """Whether the exporter computed an array from others, which are then not in the file."""
        if self.is_newer:
            return self.is_made(array.key)
        return self._is_pytorch and bool(_COMPUTED.fullmatch(array.key))

    def note_on_computed(self, arrays: Sequence[OnnxArray]) -> str:
        """Note that the computed arrays are counted, not those they were computed from."""
        names = ", ".join(f"`{shown(array.key)}`" for array in arrays[:2])
        more = f" and {len(arrays) - 2} more" if len(arrays) > 2 else ""
        values = sum(array.size for array in arrays)
        return (
            f"the exporter computed {names}{more} from arrays that are not in the file, such as biases of "
            f"positions from their table: {values:,} values, which count as parameters"
        )

    def is_copy(self, node: OnnxNodeRecord) -> bool:
        """Whether this is an `Identity` that the older exporter wrote for an array equal to another one.

        Tools that process its files keep the node, and name themselves as the producer.
        """
        return not self.is_newer and (self._is_pytorch or bool(_OF_PYTORCH.fullmatch(node.outputs[0])))

    def is_folded(self, node: OnnxNodeRecord) -> bool:
        """Whether a batch norm was folded into this node."""
        if self.is_newer:
            return FUSED in metadata(node, RULES)
        made = [name for name in node.inputs[1:3] if _MADE.fullmatch(name)]
        return self._is_pytorch and node.op in ("Conv", "ConvTranspose") and len(made) == 2

    def _has_lost_bias(self, node: OnnxNodeRecord) -> bool:
        """Whether the newer exporter dropped the bias of this node because it is zero."""
        if not self.is_newer or len(node.inputs) != 2:
            return False
        rules = metadata(node, RULES)
        last = rules.rpartition(",")[2].strip()
        return last.startswith(NO_BIAS) and (FUSED in rules or bool(_THREE.search(metadata(node, SOURCE))))

    def name_of(self, array: OnnxArray, path: Path) -> str:
        """Return the name of an array in the network; there is one for each counted array."""
        uses = self._uses.setdefault(array.key, {})
        path = tuple(
            (name.partition("@")[0], kind) for name, kind in path
        )  # each call of a module counts separately
        if path in uses:
            return uses[path]
        name = array.key
        if uses and self.is_newer and (array.key in self._merged or _is_repeated(array)):
            self._merged.add(array.key)
            name = f"{array.key} ({len(uses) + 1})"
        uses[path] = name
        return name

    def notes(self, used: Collection[str], arrays: Mapping[str, OnnxArray]) -> list[str]:
        """Return notes for readers of the figures. `used` are the names of the counted arrays."""
        notes = []
        if self._folded:
            norms, convs = ("batch norm is", "a convolution") if self._folded == 1 else (
                "batch norms are", f"{self._folded} convolutions")  # fmt: skip
            notes.append(f"{norms} folded into {convs}: the file does not have their parameters")
        if self._unbiased:
            layers = plural(self._unbiased, "layer", str)
            notes.append(f"the exporter left out biases that are zero, of {layers}")
        again = {name for name in used if arrays[name].key in self._merged and name != arrays[name].key}
        if again:
            count = plural(len(again), "array", str)
            notes.append(
                f"the exporter merged equal arrays of one repeated number: {count} that it left out "
                f"{'is' if len(again) == 1 else 'are'} counted"
            )
        if self.is_newer:
            notes += self._shared(used)
        if self._has_training:
            notes.append("the file has graphs for training, which are not counted")
        return notes

    def _shared(self, used: Collection[str]) -> list[str]:
        shared = [
            key
            for key, uses in self._uses.items()
            if key in used and key not in self._merged and len({path for path in uses if path}) > 1
        ]
        if not shared:
            return []
        names = ", ".join(f"`{shown(key)}`" for key in shared[:4])
        more = f" and {len(shared) - 4} more" if len(shared) > 4 else ""
        return [f"{names}{more}: used by more than one module, and counted once"]


def _is_repeated(array: OnnxArray) -> bool:
    """Whether it is one number repeated, as in an untrained model. Large arrays are not checked."""
    if not 0 < array.size <= MAX_FOLDED:
        return False
    try:
        values = array.all_values()
    except ArchError:  # the values are missing
        return False
    return bool((values == values.flat[0]).all())
