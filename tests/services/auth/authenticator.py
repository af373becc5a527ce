"""People with an authenticator app."""

from base64 import b32decode
from time import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from services.auth.second_factors import STEP_SECONDS
from tests.services.auth.people import PASSWORD, Person


def code_at(secret: str, seconds: float) -> str:
    """The digits that an app with this secret shows at a time."""
    return TOTP(b32decode(secret), 6, SHA1(), STEP_SECONDS).generate(int(seconds)).decode()  # noqa: S303 as apps do


class App:
    """A person with an authenticator app."""

    def __init__(self, stub: AuthServiceStub, person: Person) -> None:
        self._stub = stub
        self.person = person
        self.secret = ""
        self.recovery_codes: list[str] = []
        self.token = auth_pb2.Token()

    def calls(self, stub: AuthServiceStub) -> None:
        """Goes on with another replica."""
        self._stub = stub

    def code(self, steps: int = 0) -> str:
        """The digits shown so many steps from now."""
        return code_at(self.secret, time() + steps * STEP_SECONDS)

    def enrolls(self) -> auth_pb2.SecondFactorEnrollment:
        request = auth_pb2.EnrollSecondFactorRequest(current_password=PASSWORD)
        enrollment = self._stub.EnrollSecondFactor(request, metadata=self.person.by(self.token))
        self.secret = enrollment.secret
        return enrollment

    def confirms(self, code: str) -> None:
        request = auth_pb2.ConfirmSecondFactorRequest(one_time_code=code)
        self.recovery_codes = [*self._stub.ConfirmSecondFactor(request, metadata=self.person.by(self.token)).recovery_codes]

    def signs_in(self, code: str = "") -> auth_pb2.Token:
        request = auth_pb2.IssueTokenRequest(
            grant_type="password", username=self.person.email, password=self.person.password, one_time_code=code
        )
        return self._stub.IssueToken(request, metadata=self.person.place)

    def disables(self, code: str, password: str = PASSWORD) -> None:
        request = auth_pb2.DisableSecondFactorRequest(current_password=password, one_time_code=code)
        self._stub.DisableSecondFactor(request, metadata=self.person.by(self.token))

    def profile(self) -> auth_pb2.User:
        return self._stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=self.person.by(self.token))
