"""Page sizes and page tokens."""

import base64
import time
from datetime import UTC, datetime

import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import InvalidArgument
from mesh.paging import LIFETIME_SECONDS, PageTokens, page_size

TOKENS = PageTokens(b"a secret of the service")
MUGS = catalog_pb2.ListProductsRequest(category="mugs", page_size=10)
PLACE = ("a é\x00", 7, 2.5, datetime(2011, 12, 9, 12, 50, 0, 123456, tzinfo=UTC), None)


def with_token(request: catalog_pb2.ListProductsRequest, token: str, **changes: object) -> catalog_pb2.ListProductsRequest:
    changed = catalog_pb2.ListProductsRequest()
    changed.CopyFrom(request)
    changed.MergeFrom(catalog_pb2.ListProductsRequest(page_token=token, **changes))  # type: ignore[arg-type]
    return changed


@pytest.mark.parametrize(("requested", "size"), [(0, 25), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)])
def test_a_page_is_as_long_as_asked_within_bounds(requested: int, size: int) -> None:
    assert page_size(requested) == size


def test_a_negative_page_size_is_invalid() -> None:
    with pytest.raises(InvalidArgument) as refused:
        page_size(-1)
    assert refused.value.violations[0].field == "page_size"


def test_without_a_token_a_list_starts_at_its_beginning() -> None:
    assert TOKENS.read(MUGS) is None


def test_a_token_leads_back_to_where_its_page_ended() -> None:
    assert TOKENS.read(with_token(MUGS, TOKENS.write(MUGS, PLACE))) == PLACE


def test_only_the_page_size_may_change_between_pages() -> None:
    token = TOKENS.write(MUGS, PLACE)
    assert TOKENS.read(with_token(MUGS, token, page_size=50)) == PLACE
    assert refused(with_token(MUGS, token, category="plates"))
    assert refused(with_token(MUGS, token, availability=catalog_pb2.AVAILABILITY_SOLD_OUT))


def test_a_token_of_another_list_is_invalid() -> None:
    assert refused(auth_pb2.ListUsersRequest(page_token=TOKENS.write(catalog_pb2.ListProductsRequest(), PLACE)))


def test_a_token_of_another_secret_is_invalid() -> None:
    assert refused(with_token(MUGS, PageTokens(b"another").write(MUGS, PLACE)))


def test_a_token_with_any_character_changed_is_invalid() -> None:
    token = TOKENS.write(MUGS, PLACE)
    for place, letter in enumerate(token):
        other = "A" if letter != "A" else "B"
        assert refused(with_token(MUGS, token[:place] + other + token[place + 1 :])), place


@pytest.mark.parametrize("token", ["x", "not base64!", "é", "=", "AAAA", base64.urlsafe_b64encode(b"x" * 100).decode(), "a\x00b"])
def test_a_text_that_is_not_a_token_is_invalid(token: str) -> None:
    assert refused(with_token(MUGS, token))


def test_a_token_expires_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    request = with_token(MUGS, TOKENS.write(MUGS, PLACE))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME_SECONDS - 5)
    assert TOKENS.read(request) == PLACE
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME_SECONDS + 5)
    assert refused(request)


def refused(request: catalog_pb2.ListProductsRequest | auth_pb2.ListUsersRequest) -> bool:
    with pytest.raises(InvalidArgument) as refusal:
        TOKENS.read(request)
    return refusal.value.reason == "INVALID_PAGE_TOKEN" and refusal.value.violations[0].field == "page_token"
