"""The messages of an ONNX model. The field numbers are those of `onnx.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from archcalc.importing.onnx_graph.wire import FLOAT, NAME, PLACE, TEXT, WHOLE, Record

Fields = Mapping[int, tuple[str, Any]]

Place = tuple[int, int, int]
"""Where values are: the kind of encoding, the start, and the end."""


class EntryRecord(Record):
    """A pair of strings."""

    key: str = ""
    value: str = ""
    FIELDS: ClassVar[Fields] = {1: ("key", TEXT), 2: ("value", TEXT)}


class OnnxTensorRecord(Record):
    """An array. Its values are in the file, in one of five fields, or in another file."""

    name: str = ""
    dims: list[int] = []
    data_type: int = 0
    raw: Place | None = None
    floats: list[Place] = []
    int32s: list[Place] = []
    int64s: list[Place] = []
    doubles: list[Place] = []
    uint64s: list[Place] = []
    external: list[EntryRecord] = []
    location: int = 0
    FIELDS: ClassVar[Fields] = {
        1: ("dims", WHOLE),
        2: ("data_type", WHOLE),
        4: ("floats", PLACE),
        5: ("int32s", PLACE),
        7: ("int64s", PLACE),
        8: ("name", NAME),
        9: ("raw", PLACE),
        10: ("doubles", PLACE),
        11: ("uint64s", PLACE),
        13: ("external", EntryRecord),
        14: ("location", WHOLE),
    }


class SparseTensorRecord(Record):
    """An array of which only the nonzero values are stored."""

    values: OnnxTensorRecord | None = None
    dims: list[int] = []
    FIELDS: ClassVar[Fields] = {1: ("values", OnnxTensorRecord), 3: ("dims", WHOLE)}


class AttributeRecord(Record):
    """An argument of a node. `kind` says which field has the value; old files omit it."""

    name: str = ""
    refers_to: str = ""
    kind: int = 0
    real: float | None = None
    whole: int | None = None
    text: str | None = None
    tensor: OnnxTensorRecord | None = None
    graph: OnnxGraphRecord | None = None
    reals: list[float] = []
    wholes: list[int] = []
    texts: list[str] = []
    FIELDS: ClassVar[Fields] = {}


class OnnxNodeRecord(Record):
    """An operation, with the names of its inputs and outputs."""

    inputs: list[str] = []
    outputs: list[str] = []
    name: str = ""
    op: str = ""
    domain: str = ""
    overload: str = ""
    attributes: list[AttributeRecord] = []
    metadata: list[EntryRecord] = []
    FIELDS: ClassVar[Fields] = {
        1: ("inputs", NAME),
        2: ("outputs", NAME),
        3: ("name", NAME),
        4: ("op", NAME),
        5: ("attributes", AttributeRecord),
        7: ("domain", NAME),
        8: ("overload", NAME),
        9: ("metadata", EntryRecord),
    }


class DimensionRecord(Record):
    """A size: a number, a name, or nothing."""

    value: int | None = None
    symbol: str = ""
    FIELDS: ClassVar[Fields] = {1: ("value", WHOLE), 2: ("symbol", NAME)}


class DeclaredShapeRecord(Record):
    dims: list[DimensionRecord] = []
    FIELDS: ClassVar[Fields] = {1: ("dims", DimensionRecord)}


class TensorTypeRecord(Record):
    data_type: int = 0
    shape: DeclaredShapeRecord | None = None
    FIELDS: ClassVar[Fields] = {1: ("data_type", WHOLE), 2: ("shape", DeclaredShapeRecord)}


class TypeRecord(Record):
    """A type; `tensor` is `None` for sequences, maps and optional values."""

    tensor: TensorTypeRecord | None = None
    FIELDS: ClassVar[Fields] = {1: ("tensor", TensorTypeRecord)}


class ValueRecord(Record):
    """The declaration of a tensor."""

    name: str = ""
    type: TypeRecord | None = None
    metadata: list[EntryRecord] = []
    FIELDS: ClassVar[Fields] = {1: ("name", NAME), 2: ("type", TypeRecord), 4: ("metadata", EntryRecord)}


class OnnxGraphRecord(Record):
    nodes: list[OnnxNodeRecord] = []
    name: str = ""
    arrays: list[OnnxTensorRecord] = []
    sparse_arrays: list[SparseTensorRecord] = []
    inputs: list[ValueRecord] = []
    outputs: list[ValueRecord] = []
    values: list[ValueRecord] = []
    FIELDS: ClassVar[Fields] = {
        1: ("nodes", OnnxNodeRecord),
        2: ("name", TEXT),
        5: ("arrays", OnnxTensorRecord),
        11: ("inputs", ValueRecord),
        12: ("outputs", ValueRecord),
        13: ("values", ValueRecord),
        15: ("sparse_arrays", SparseTensorRecord),
    }


AttributeRecord.FIELDS = {
    1: ("name", NAME),
    2: ("real", FLOAT),
    3: ("whole", WHOLE),
    4: ("text", TEXT),
    5: ("tensor", OnnxTensorRecord),
    6: ("graph", OnnxGraphRecord),
    7: ("reals", FLOAT),
    8: ("wholes", WHOLE),
    9: ("texts", TEXT),
    20: ("kind", WHOLE),
    21: ("refers_to", NAME),
}


class OpsetRecord(Record):
    """The version of a set of operators."""

    domain: str = ""
    version: int = 0
    FIELDS: ClassVar[Fields] = {1: ("domain", NAME), 2: ("version", WHOLE)}


class FunctionRecord(Record):
    """An operation that the model defines from other operations."""

    name: str = ""
    domain: str = ""
    overload: str = ""
    inputs: list[str] = []
    outputs: list[str] = []
    nodes: list[OnnxNodeRecord] = []
    opsets: list[OpsetRecord] = []
    defaults: list[AttributeRecord] = []
    FIELDS: ClassVar[Fields] = {
        1: ("name", NAME),
        4: ("inputs", NAME),
        5: ("outputs", NAME),
        7: ("nodes", OnnxNodeRecord),
        9: ("opsets", OpsetRecord),
        10: ("domain", NAME),
        11: ("defaults", AttributeRecord),
        13: ("overload", NAME),
    }


class TrainingRecord(Record):
    """Training graphs, which are not read."""


class OnnxModelRecord(Record):
    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    graph: OnnxGraphRecord | None = None
    opsets: list[OpsetRecord] = []
    functions: list[FunctionRecord] = []
    training: list[TrainingRecord] = []
    FIELDS: ClassVar[Fields] = {
        1: ("ir_version", WHOLE),
        2: ("producer", TEXT),
        3: ("producer_version", TEXT),
        7: ("graph", OnnxGraphRecord),
        8: ("opsets", OpsetRecord),
        20: ("training", TrainingRecord),
        25: ("functions", FunctionRecord),
    }
