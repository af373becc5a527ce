"""Passwords are reset and e-mail addresses verified by mail."""

import email
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import grpc
import pytest

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from tests.engines.ports import free_port
from tests.services.auth.people import Person
from tests.services.auth.processes import Auth, sql
from tests.services.errors import error_of
from tests.services.waiting import eventually

NEW = "a whole new password"


class Mailbox:
    """The folder to which auth writes mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mails(self, recipient: str, subject: str) -> list[Message]:
        files = sorted(self.folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        mails = [email.message_from_bytes(file.read_bytes()) for file in files]
        return [mail for mail in mails if mail["To"] == recipient and subject in mail["Subject"]]

    def token(self, recipient: str, subject: str, count: int = 1) -> str:
        """The token of the latest mail, once there are so many."""
        eventually(lambda: len(self.mails(recipient, subject)) == count)
        found = re.search(r"https://shop/#(\S+)", str(self.mails(recipient, subject)[-1].get_payload()))
        assert found
        return found[1]


@pytest.fixture(scope="module")
def mailbox(folder: Path) -> Mailbox:
    return Mailbox(folder / "mail")


@pytest.fixture(scope="module")
def grpc_server(folder: Path, database_url: str, mailbox: Mailbox) -> Iterator[Auth]:
    links = {"AUTH_RECOVERY_LINK": "https://shop/#{token}", "AUTH_VERIFY_EMAIL_LINK": "https://shop/#{token}"}
    with Auth(folder, database_url, AUTH_MAIL_FOLDER=str(mailbox.folder), **links) as auth:
        yield auth


def request_reset(stub: AuthServiceStub, who: Person, address: str = "") -> None:
    stub.RequestPasswordReset(auth_pb2.RequestPasswordResetRequest(email=address or who.email), metadata=who.place)


def reset(stub: AuthServiceStub, who: Person, token: str, password: str = NEW) -> None:
    stub.ResetPassword(auth_pb2.ResetPasswordRequest(token=token, password=password), metadata=who.place)


def test_a_mail_resets_the_password_and_ends_all_sign_ins(grpc_stub: AuthServiceStub, ann: Person, mailbox: Mailbox) -> None:
    tokens = ann.signs_up_and_in()
    request_reset(grpc_stub, ann, ann.email.upper())
    token = mailbox.token(ann.email, "new password")
    assert error_of(lambda: reset(grpc_stub, ann, token, "password1")).reason == "PASSWORD_TOO_COMMON"
    reset(grpc_stub, ann, token)
    assert error_of(lambda: ann.refreshes(tokens)).reason == "INVALID_GRANT"
    assert error_of(ann.signs_in).reason == "INVALID_GRANT"
    signed_in = ann.signs_in(NEW)
    assert grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=ann.by(signed_in)).email_verified
    again = error_of(lambda: reset(grpc_stub, ann, token))
    assert (again.code, again.reason, again.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_MAIL_TOKEN", ["token"])


def test_a_request_reveals_nothing_of_accounts(grpc_stub: AuthServiceStub, bob: Person, mailbox: Mailbox) -> None:
    request_reset(grpc_stub, bob)
    request_reset(grpc_stub, bob, "this is no address")
    assert mailbox.mails(bob.email, "") == []


def test_a_token_is_valid_for_an_hour_and_its_own_purpose(
    grpc_stub: AuthServiceStub, ann: Person, mailbox: Mailbox, database_url: str
) -> None:
    ann.signs_up()
    verification = mailbox.token(ann.email, "Verify")
    assert error_of(lambda: reset(grpc_stub, ann, verification)).reason == "INVALID_MAIL_TOKEN"
    request_reset(grpc_stub, ann)
    token = mailbox.token(ann.email, "new password")
    sql(database_url, "UPDATE auth.mail_tokens SET expire_time = expire_time - interval '61 minutes'")
    assert error_of(lambda: reset(grpc_stub, ann, token)).reason == "INVALID_MAIL_TOKEN"


def test_neither_the_database_nor_the_log_has_the_token(
    grpc_stub: AuthServiceStub, grpc_server: Auth, ann: Person, mailbox: Mailbox, database_url: str
) -> None:
    ann.signs_up()
    token = mailbox.token(ann.email, "Verify")
    assert token not in str(sql(database_url, "SELECT * FROM auth.mail_tokens")) + str(sql(database_url, "SELECT * FROM auth.outbox"))
    assert token not in grpc_server.log


def test_an_address_is_verified_at_sign_up_and_again_after_a_change(grpc_stub: AuthServiceStub, ann: Person, mailbox: Mailbox) -> None:
    user = ann.signs_up()
    assert not user.email_verified
    first = mailbox.token(ann.email, "Verify")
    grpc_stub.VerifyEmail(auth_pb2.VerifyEmailRequest(token=first))
    metadata = ann.by(ann.signs_in())
    assert grpc_stub.GetCurrentUser(auth_pb2.GetCurrentUserRequest(), metadata=metadata).email_verified
    new = f"new.{ann.email}"
    changed = grpc_stub.UpdateCurrentUser(auth_pb2.UpdateCurrentUserRequest(email=new, current_password=ann.password), metadata=metadata)
    assert not changed.email_verified
    grpc_stub.VerifyEmail(auth_pb2.VerifyEmailRequest(token=mailbox.token(new, "Verify")))
    grpc_stub.RequestEmailVerification(auth_pb2.RequestEmailVerificationRequest(), metadata=metadata)
    grpc_stub.VerifyEmail(auth_pb2.VerifyEmailRequest(token=mailbox.token(new, "Verify", 2)))


def test_a_mail_to_an_address_that_was_given_up_takes_no_account(grpc_stub: AuthServiceStub, ann: Person, mailbox: Mailbox) -> None:
    metadata = ann.by(ann.signs_up_and_in())
    request_reset(grpc_stub, ann)
    token = mailbox.token(ann.email, "new password")
    request = auth_pb2.UpdateCurrentUserRequest(email=f"other.{ann.email}", current_password=ann.password)
    grpc_stub.UpdateCurrentUser(request, metadata=metadata)
    assert error_of(lambda: reset(grpc_stub, ann, token)).reason == "INVALID_MAIL_TOKEN"


def test_an_admin_has_a_user_set_a_new_password(grpc_stub: AuthServiceStub, admin: Person, ann: Person, mailbox: Mailbox) -> None:
    user, tokens = ann.signs_up(), ann.signs_in()
    root = admin.by(admin.signs_in())
    grpc_stub.ResetUserPassword(auth_pb2.ResetUserPasswordRequest(id=user.id), metadata=root)
    assert error_of(ann.signs_in).reason == "INVALID_GRANT"
    assert error_of(lambda: ann.refreshes(tokens)).reason == "INVALID_GRANT"
    reset(grpc_stub, ann, mailbox.token(ann.email, "new password"))
    metadata = ann.by(ann.signs_in(NEW))
    refused = error_of(lambda: grpc_stub.ResetUserPassword(auth_pb2.ResetUserPasswordRequest(id=user.id), metadata=metadata))
    assert refused.reason == "ROLE_NOT_ALLOWED"


def test_few_mails_are_sent_to_an_account_and_few_calls_are_taken_from_a_network(
    grpc_stub: AuthServiceStub, ann: Person, bob: Person, mailbox: Mailbox
) -> None:
    ann.signs_up()
    for _ in range(51):
        request_reset(grpc_stub, bob, ann.email)
    error = error_of(lambda: request_reset(grpc_stub, bob, ann.email))
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_MAILS")
    mailbox.token(ann.email, "new password", 3)


class SmtpServer(socketserver.ThreadingTCPServer):
    """Takes mail without asking who sends it."""

    daemon_threads = True
    mails: list[str]


class SmtpConversation(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to hand over a mail."""

    server: SmtpServer

    def handle(self) -> None:
        self.reply("220 mail.example.com")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.reply("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.server.mails.append("".join(lines))
            self.reply("221 bye" if line.upper() == "QUIT" else "250 ok")

    def reply(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def smtp_server(port: int) -> Iterator[SmtpServer]:
    with SmtpServer(("127.0.0.1", port), SmtpConversation) as server:
        server.mails = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def test_mail_waits_until_the_smtp_server_takes_it(folder: Path, own_database: str) -> None:
    port = free_port()
    with Auth(folder, own_database, AUTH_SMTP_HOST="127.0.0.1", AUTH_SMTP_PORT=str(port), AUTH_SMTP_SECURITY="none") as auth:
        with auth.stub() as stub:
            ann = Person(stub)
            ann.signs_up()
        eventually(lambda: "a mail could not be sent" in auth.log)
        with smtp_server(port) as server:
            sql(own_database, "UPDATE auth.outbox SET next_time = now()")
            eventually(lambda: bool(server.mails))
        [mail] = server.mails
        assert ann.email in mail
        eventually(lambda: sql(own_database, "SELECT FROM auth.outbox") == [])


def test_without_mail_nothing_is_promised(folder: Path, own_database: str) -> None:
    with Auth(folder, own_database) as auth, auth.stub() as stub:
        ann = Person(stub)
        ann.signs_up()
        error = error_of(lambda: request_reset(stub, ann))
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MAIL_NOT_CONFIGURED")
