"""What a client signs in with, and the state of a sign-in."""

from time import monotonic

from hashiramart.auth.v1.auth_pb2 import IssueTokenRequest, Token

# A token is renewed once this share of its time is over.
_RENEWAL = 0.8


def password_grant(email: str, password: str) -> IssueTokenRequest:
    """The sign-in of a user."""
    return IssueTokenRequest(grant_type="password", username=email, password=password)


def service_grant(client_id: str, client_secret: str) -> IssueTokenRequest:
    """The sign-in of a service."""
    return IssueTokenRequest(grant_type="client_credentials", client_id=client_id, client_secret=client_secret)


class SignIn:
    """The tokens of a sign-in, and when they have to be renewed. Does no I/O.

    A refresh token is taken once: to send one again whose response was lost would end the sign-in, so that the grant is used instead.
    """

    def __init__(self, grant: IssueTokenRequest) -> None:
        self.grant = grant
        self.token = Token()
        self._received = -float("inf")

    def is_due(self) -> bool:
        """Whether there is no access token yet, or it is about to expire."""
        return monotonic() >= self._received + _RENEWAL * self.token.expires_in

    def is_valid(self) -> bool:
        return monotonic() < self._received + self.token.expires_in

    def accept(self, token: Token) -> None:
        self._received, self.token = monotonic(), token

    def take_refresh(self) -> IssueTokenRequest | None:
        """The request that uses up the refresh token; None without one."""
        if not self.token.refresh_token:
            return None
        request = IssueTokenRequest(grant_type="refresh_token", refresh_token=self.token.refresh_token)
        self.token.refresh_token = ""
        return request
