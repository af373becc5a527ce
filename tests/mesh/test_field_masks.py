"""Field masks of updates."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import FieldViolation, InvalidArgument
from mesh.field_masks import check_fixed_fields, masked_fields

EDITABLE = {"name", "description", "category", "price_cents", "currency_code", "stock"}
READ = catalog_pb2.Product(id="a", name="Mug", stock=3, etag="1")
READ.create_time.seconds = 1


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


def test_a_mask_names_the_fields_that_change_and_those_that_cannot_are_left_out() -> None:
    assert masked_fields(READ, mask("stock", "description", "id", "etag", "create_time")) == {"stock", "description"}
    assert masked_fields(READ, mask("*")) == EDITABLE


def test_without_a_mask_the_fields_that_are_set_change() -> None:
    assert masked_fields(READ, mask()) == {"name", "stock"}


def test_every_name_that_is_no_field_is_reported() -> None:
    with pytest.raises(InvalidArgument) as error:
        masked_fields(READ, mask("stock", "size", "colour"))
    assert error.value.metadata == {"field": "update_mask", "paths": "colour, size"}
    assert error.value.violations == tuple(FieldViolation("update_mask", f"there is no field '{name}'") for name in ("colour", "size"))


def test_a_field_that_cannot_be_changed_may_be_sent_with_its_value_only() -> None:
    sent = catalog_pb2.Product()
    sent.CopyFrom(READ)
    sent.update_time.seconds = 2
    sent.etag = "0"
    check_fixed_fields("product", sent, mask("create_time", "etag", "id", "stock"), READ)
    check_fixed_fields("product", sent, mask("*"), READ)
    with pytest.raises(InvalidArgument) as error:
        check_fixed_fields("product", sent, mask("create_time", "update_time"), READ)
    assert error.value.violations == (FieldViolation("product.update_time", "cannot be changed"),)
