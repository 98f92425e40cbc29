"""Messages that a Protobuf schema describes, as JSON: with what the library's own JSON leaves out."""

import base64
import json
import secrets
from typing import Any

from guardian.bus.protobuf_around import around, varint
from guardian.errors import DecodeError

_MAX_INDEX = 64
_HALF = "\\udfff"
"""Half of a surrogate pair, as JSON writes it: a text that begins so is told to be unread."""
_NO_WORDS = ("UNSPECIFIED", "UNKNOWN")


def protobuf_reader(serialized: str) -> Any:
    """A reader for the messages of one file; imports of Google's well-known types are known, others are not."""
    from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.json_format import MessageToDict, SerializeToJsonError
    from google.protobuf.message import DecodeError as BadMessage
    from google.protobuf.message_factory import GetMessageClass

    pool: Any = DescriptorPool()
    for known in (any_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(serialized))
    file.name = file.name or "schema.proto"
    pool.AddSerializedFile(file.SerializeToString())
    top = pool.FindFileByName(file.name)

    def read(payload: bytes) -> Any:
        path, start = _index(payload)
        messages = list(top.message_types_by_name.values())
        message = messages[path[0]]
        for step in path[1:]:
            message = list(message.nested_types)[step]
        made, content = GetMessageClass(message), payload[start:]
        try:
            return plain(made, content)
        except (BadMessage, SerializeToJsonError):
            mark = secrets.token_hex(16)
            rest = plain(made, around(content, message, mark))
            return json.dumps(rest).replace(mark, _HALF).encode()

    def plain(made: Any, content: bytes) -> Any:
        said = MessageToDict(made.FromString(content), preserving_proto_field_name=True)
        return _explicit(said, made.DESCRIPTOR)

    return read


def _explicit(said: Any, descriptor: Any) -> Any:
    """The JSON of a message, with what Protobuf's own leaves out or writes otherwise: `false` and the first word
    of an enumeration where these are what a field without presence says, and 64-bit numbers as numbers. By
    convention the first word may be one that says nothing."""
    told = dict(said)
    for field in descriptor.fields:
        if field.name in said:
            told[field.name] = _of_field(said[field.name], field)
        elif not field.has_presence and field.default_value is False:
            told[field.name] = False
        elif not field.has_presence and field.enum_type is not None and field.default_value == 0:
            word = field.enum_type.values_by_number[0].name
            if not word.upper().endswith(_NO_WORDS):
                told[field.name] = word
    return told


def _of_field(said: Any, field: Any) -> Any:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = inner.fields_by_name["value"]
        return {key: _of_field(each, value) for key, each in said.items()}
    if inner is not None and inner.full_name.startswith("google.protobuf."):  # these have a JSON of their own
        return said
    if isinstance(said, list):
        return [_of_field(each, field) for each in said]
    if inner is not None:
        return _explicit(said, inner)
    return int(said) if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else said


def _index(payload: bytes) -> tuple[list[int], int]:
    """Which message it is, as zigzag numbers after their count; a single zero stands for the first."""
    count, at = _zigzag(payload, 0)
    if count == 0:
        return [0], at
    if not 0 < count <= _MAX_INDEX:
        raise DecodeError("invalid", "the index of the Protobuf message is damaged")
    path = []
    for _ in range(count):
        step, at = _zigzag(payload, at)
        if step < 0:
            raise DecodeError("invalid", "the index of the Protobuf message is damaged")
        path.append(step)
    return path, at


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    number, at = varint(payload, at)
    return (number >> 1) ^ -(number & 1), at
