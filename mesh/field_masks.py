"""Field masks: which fields of a resource an update changes."""

from collections.abc import Set as AbstractSet

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from mesh.errors import FieldViolation, InvalidArgument

ALL = "*"
# They say which resource is changed, and which version of it, and are not changed themselves.
_IDENTIFYING = {"id", "etag"}
_FIXED = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IMMUTABLE, field_behavior_pb2.IDENTIFIER}


def masked_fields(resource: Message, mask: FieldMask) -> frozenset[str]:
    """The fields that an update changes: those that the mask names, or without a mask those that are set.

    Fields that cannot be changed are not among them. Raises `InvalidArgument` if the mask names what is no field.
    """
    fields: list[FieldDescriptor] = [*resource.DESCRIPTOR.fields]
    check_paths(mask, {field.name for field in fields})
    editable = {field.name for field in fields if _is_editable(field)}
    if ALL in mask.paths:
        return frozenset(editable)
    return frozenset(editable & (set(mask.paths) or {field.name for field, _ in resource.ListFields()}))


def check_paths(mask: FieldMask, names: AbstractSet[str]) -> None:
    """Raises `InvalidArgument` if the mask names another field than these."""
    if unknown := sorted(set(mask.paths) - names - {ALL}):
        raise InvalidArgument(
            "update_mask names what is no field: {paths}",
            violations=[FieldViolation("update_mask", f"there is no field '{path}'") for path in unknown],
            paths=", ".join(unknown),
        )


def check_fixed_fields(name: str, sent: Message, mask: FieldMask, current: Message) -> None:
    """Raises `InvalidArgument` if the mask names a field that cannot be changed and was sent with another value than the current one.

    A resource may therefore be sent back as it was read, with some fields changed.

    name: the field of the request in which the resource is
    """
    fields: list[FieldDescriptor] = [*sent.DESCRIPTOR.fields]
    fixed = {field.name for field in fields if not _is_editable(field)} - _IDENTIFYING
    if wrong := sorted(path for path in fixed & set(mask.paths) if getattr(sent, path) != getattr(current, path)):
        raise InvalidArgument(
            "these fields cannot be changed: {paths}",
            violations=[FieldViolation(f"{name}.{path}", "cannot be changed") for path in wrong],
            paths=", ".join(wrong),
        )


def _is_editable(field: FieldDescriptor) -> bool:
    return field.name not in _IDENTIFYING and _FIXED.isdisjoint(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])
