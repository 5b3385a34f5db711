"""The JSON records of a `.pt2` file, with only the fields that are read (`torch/_export/serde/schema.py`).

Decoding checks every type. Fields that are not declared here are skipped.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class NamedRecord(Struct, frozen=True):
    name: str


class HintRecord(Struct, frozen=True):
    as_int: int | None = None


class ExpressionRecord(Struct, frozen=True):
    expr_str: str
    hint: HintRecord | None = None


class SizeRecord(Struct, frozen=True):
    as_int: int | None = None
    as_expr: ExpressionRecord | None = None


class TensorRecord(Struct, frozen=True):
    dtype: int
    sizes: list[SizeRecord]
    strides: list[SizeRecord] = []
    storage_offset: SizeRecord | None = None


class SymbolicRecord(Struct, frozen=True):
    """A number, or the name of one."""

    as_name: str | None = None
    as_int: int | None = None


class OptionalTensorRecord(Struct, frozen=True):
    as_tensor: NamedRecord | None = None


class ArgumentRecord(Struct, frozen=True):
    """At most one field is set; none is set for types that make no difference here."""

    as_none: bool | None = None
    as_tensor: NamedRecord | None = None
    as_tensors: list[NamedRecord] | None = None
    as_optional_tensors: list[OptionalTensorRecord] | None = None
    as_optional_tensor: OptionalTensorRecord | None = None
    as_int: int | None = None
    as_ints: list[int] | None = None
    as_float: float | str | None = None
    as_floats: list[float] | None = None
    as_string: str | None = None
    as_bool: bool | None = None
    as_bools: list[bool] | None = None
    as_sym_int: SymbolicRecord | None = None
    as_sym_ints: list[SymbolicRecord] | None = None


class NamedArgumentRecord(Struct, frozen=True):
    name: str
    arg: ArgumentRecord


class MetadataRecord(Struct, frozen=True):
    stack_trace: str = ""
    nn_module_stack: str = ""


class NodeRecord(Struct, frozen=True):
    target: str
    inputs: list[NamedArgumentRecord]
    outputs: list[ArgumentRecord]
    metadata: MetadataRecord = MetadataRecord()


class GraphRecord(Struct, frozen=True):
    nodes: list[NodeRecord]
    tensor_values: dict[str, TensorRecord]
    sym_int_values: dict[str, SizeRecord] = {}


class InputSpecRecord(Struct, frozen=True):
    """What a placeholder is: one of these."""

    user_input: UserRecord | None = None
    parameter: ParameterRecord | None = None
    buffer: BufferRecord | None = None
    tensor_constant: ConstantRecord | None = None


class UserRecord(Struct, frozen=True):
    arg: ArgumentRecord


class ParameterRecord(Struct, frozen=True):
    arg: NamedRecord
    parameter_name: str


class BufferRecord(Struct, frozen=True):
    arg: NamedRecord
    buffer_name: str


class ConstantRecord(Struct, frozen=True):
    arg: NamedRecord
    tensor_constant_name: str


class OutputSpecRecord(Struct, frozen=True):
    user_output: UserRecord | None = None


class SignatureRecord(Struct, frozen=True):
    input_specs: list[InputSpecRecord]
    output_specs: list[OutputSpecRecord]


class CallSignatureRecord(Struct, frozen=True):
    out_spec: str = ""


class ModuleCallRecord(Struct, frozen=True):
    fqn: str = ""
    signature: CallSignatureRecord | None = None


class GraphModuleRecord(Struct, frozen=True):
    graph: GraphRecord
    signature: SignatureRecord
    module_call_graph: list[ModuleCallRecord] = []


class RangeRecord(Struct, frozen=True):
    min_val: int | None = None
    max_val: int | None = None


class VersionRecord(Struct, frozen=True):
    major: int
    minor: int = 0


class ProgramRecord(Struct, frozen=True):
    graph_module: GraphModuleRecord
    schema_version: VersionRecord
    range_constraints: dict[str, RangeRecord] = {}
    torch_version: str = ""


class PayloadRecord(Struct, frozen=True):
    """Where the values of an array are stored."""

    path_name: str
    use_pickle: bool = False
    tensor_meta: TensorRecord | None = None


class PayloadsRecord(Struct, frozen=True):
    config: dict[str, PayloadRecord] = {}


class TreeRecord(Struct, frozen=True):
    """How results are nested: `context` has the keys of a dictionary, itself encoded as JSON."""

    type: str | None = None
    context: Any = None
    children_spec: list[TreeRecord] = []
