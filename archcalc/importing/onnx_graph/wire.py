"""Read the Protocol Buffers encoding into records.

A record declares its fields and their kinds. Other fields are skipped. The values
of arrays are not copied: a record has only their position, so a large file takes little memory.
"""

from __future__ import annotations

import gc
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from msgspec import Struct

MAX_FIELDS = 1_000_000
"""The most fields in a file. ResNet-50 has 3,000 to 8,000; this many take two seconds and 360 megabytes."""

MAX_DEPTH = 40
"""The deepest nesting of messages. A graph inside a branch inside a branch has twelve levels."""

MAX_NAME_BYTES = 4_000
"""The longest name in bytes."""

MAX_TEXT_BYTES = 20_000
"""The longest other string in bytes; longer ones are truncated."""

WHOLE, FLOAT, NAME, TEXT, PLACE = "whole", "float", "name", "text", "place"
"""The kinds of fields. A `PLACE` is the position of a field's bytes: their start and end."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_HIGHEST = 1 << 63


class WireError(Exception):
    """Raised for bytes that are not valid; the text briefly says why."""


class Record(Struct):
    """A message. `FIELDS` maps each field number to the attribute's name and its kind, or another record.

    An attribute whose default is a list collects all occurrences of its field.
    """

    FIELDS: ClassVar[Mapping[int, tuple[str, Any]]] = {}


R = TypeVar("R", bound=Record)


class WireReader:
    """Reads records from bytes; `data` is any bytes-like object, such as a memory-mapped file."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self._fields = 0

    def read(self, kind: type[R]) -> R:
        """Read all bytes as a record. Raises `WireError`."""
        collecting = gc.isenabled()
        gc.disable()  # nothing here is garbage, and collection would take half of the time
        try:
            return self._record(kind, 0, len(self.data), 0)
        finally:
            if collecting:
                gc.enable()

    def _record(self, kind: type[R], at: int, end: int, depth: int) -> R:
        if depth > MAX_DEPTH:
            raise WireError(f"it is nested more than {MAX_DEPTH} deep")
        data, fields, record = self.data, kind.FIELDS, kind()
        while at < end:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise WireError(f"it has more than {MAX_FIELDS:,} fields")
            tag = data[at]
            at += 1
            if tag > 127:
                tag, at = self._varint(at - 1, end)
            number, wire = tag >> 3, tag & 7
            value: Any
            if wire == _BYTES:
                length, start = self._varint(at, end)
                at = start + length
                if at > end:
                    raise WireError("it is cut off, or damaged")
                value = (start, at)
            elif wire == _VARINT:
                value, at = self._varint(at, end)
            elif wire in (_FIXED32, _FIXED64):
                value = (at, at + (4 if wire == _FIXED32 else 8))
                at = value[1]
                if at > end:
                    raise WireError("it is cut off, or damaged")
            else:
                raise WireError("it is damaged")
            if number in fields:
                self._set(record, *fields[number], wire, value, depth)
        return record

    def _set(self, record: Record, name: str, kind: Any, wire: int, value: Any, depth: int) -> None:
        before = getattr(record, name)
        if isinstance(kind, type) and wire == _BYTES:
            if before is not None and type(before) is not list:
                raise WireError("it has a part twice")
            value = self._record(kind, value[0], value[1], depth + 1)
        elif kind == PLACE:
            value = (wire, *value) if wire != _VARINT else (wire, value, value)
        elif kind in (NAME, TEXT) and wire == _BYTES:
            value = self._text(kind, *value)
        elif kind == WHOLE and wire == _VARINT:
            value = value - 2 * _HIGHEST if value >= _HIGHEST else value
        elif kind == WHOLE and wire == _BYTES and type(before) is list:
            before += self._packed(*value)
            return
        elif kind == FLOAT and wire == _FIXED32:
            (value,) = struct.unpack_from("<f", self.data, value[0])
        elif kind == FLOAT and wire == _BYTES and type(before) is list:
            start, end = value
            if (end - start) % 4:
                raise WireError("it is damaged")
            self._count((end - start) // 4)
            before += struct.unpack_from(f"<{(end - start) // 4}f", self.data, start)
            return
        else:
            raise WireError("it is damaged")
        if type(before) is list:
            before.append(value)
        else:
            setattr(record, name, value)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self.data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & (2 * _HIGHEST - 1), at
            shift += 7
        raise WireError("it is cut off, or damaged")

    def _packed(self, at: int, end: int) -> list[int]:
        found = []
        self._count(end - at)
        while at < end:
            value, at = self._varint(at, end)
            found.append(value - 2 * _HIGHEST if value >= _HIGHEST else value)
        return found

    def _text(self, kind: str, start: int, end: int) -> str:
        if kind == NAME and end - start > MAX_NAME_BYTES:
            raise WireError(f"a name has {end - start:,} bytes, and at most {MAX_NAME_BYTES:,} are read")
        return bytes(self.data[start : min(end, start + MAX_TEXT_BYTES)]).decode(errors="backslashreplace")

    def _count(self, values: int) -> None:
        self._fields += values
        if self._fields > MAX_FIELDS:
            raise WireError(f"it has more than {MAX_FIELDS:,} fields")
