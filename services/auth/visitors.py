"""Visitors: anonymous shoppers, who have a subject of their own and no account."""

import hmac
import time
from datetime import timedelta
from uuid import UUID, uuid4

import grpc.aio
import jwt
import structlog

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from mesh import audit
from mesh.client_address import ClientAddress
from mesh.errors import InvalidArgument
from mesh.identity import Role
from services.auth.domain import InvalidGrant
from services.auth.grants import IssuedTokens
from services.auth.repository.attempts import AttemptRepository
from services.auth.repository.handovers import HandoverRepository
from services.auth.throttle import new_visitors_from
from services.auth.tokens import TokenIssuer

# A visitor who stays away for longer is another one.
VISITOR_LIFETIME = timedelta(days=90)
_AUDIENCE = "visitor"
_TIMEOUT_SECONDS = 5

_log = structlog.get_logger(__name__)


class Visitors:
    """Issues tokens to visitors, and hands their events over when they sign up or in.

    A visitor has no row: the refresh token says who it is, and is valid for any number of uses.

    secret: with which refresh tokens are signed
    """

    def __init__(self, attempts: AttemptRepository, handovers: HandoverRepository, issuer: TokenIssuer, secret: bytes) -> None:
        self._attempts = attempts
        self._handovers = handovers
        self._issuer = issuer
        self._key = hmac.digest(secret, b"visitor tokens", "sha256")

    async def admit(self, address: ClientAddress) -> IssuedTokens:
        """Makes the caller a new visitor, which is not audited. Raises `TooManyVisitors`."""
        audit.omit()
        await self._attempts.count_in_window(new_visitors_from(address))
        return await self._issue(uuid4())

    async def renew(self, token: str) -> IssuedTokens | None:
        """New tokens of the same visitor, or None if the token is not a visitor's; not audited. Raises `InvalidGrant` if it has expired."""
        try:
            visitor_id = self._read(token)
        except jwt.ExpiredSignatureError:
            raise InvalidGrant from None
        except jwt.InvalidTokenError:
            return None
        audit.omit()
        return await self._issue(visitor_id)

    def visitor_id(self, token: str) -> UUID | None:
        """The visitor of a refresh token, None if it is empty. Raises `InvalidArgument` if it is not valid."""
        if not token:
            return None
        try:
            return self._read(token)
        except jwt.InvalidTokenError:
            raise InvalidArgument(
                "the visitor token is malformed, expired or not one of ours", field="visitor_token", reason="INVALID_VISITOR_TOKEN"
            ) from None

    async def hand_over(self, visitor_id: UUID | None, user_id: UUID, customer_number: str | None) -> None:
        """Has the recommender make the visitor's events the user's, as soon as it can be reached."""
        if visitor_id is not None:
            await self._handovers.add(visitor_id, user_id, customer_number or "")

    def _read(self, token: str) -> UUID:
        claims = jwt.decode(token, self._key, algorithms=["HS256"], audience=_AUDIENCE, options={"require": ["sub", "exp"]})
        return UUID(claims["sub"])

    async def _issue(self, visitor_id: UUID) -> IssuedTokens:
        expiry = int(time.time() + VISITOR_LIFETIME.total_seconds())
        refresh_token = jwt.encode({"sub": str(visitor_id), "aud": _AUDIENCE, "exp": expiry}, self._key, algorithm="HS256")
        return IssuedTokens(await self._issuer.visitor_token(visitor_id), Role.VISITOR, refresh_token)


class Handovers:
    """The visitors whose events the recommender has still to hand over. Replicas share the work."""

    def __init__(self, handovers: HandoverRepository, channel: grpc.aio.Channel) -> None:
        self._handovers = handovers
        self._recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)

    async def carry_out(self) -> None:
        """Hands over all that are due. Raises `Unavailable` or `AioRpcError`; the rest stay due."""
        while handover := await self._handovers.claim():
            request = recommender_pb2.HandOverVisitorRequest(
                visitor_id=str(handover.visitor_id), user_id=str(handover.user_id), customer_number=handover.customer_number
            )
            await self._recommender.HandOverVisitor(request, timeout=_TIMEOUT_SECONDS)
            await self._handovers.complete(handover)
            _log.info("visitor handed over", visitor_id=request.visitor_id, user_id=request.user_id)
