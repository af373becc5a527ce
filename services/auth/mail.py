"""Sends the mails of the outbox: by SMTP, or into a folder."""

import asyncio
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from secrets import token_urlsafe
from typing import Protocol

import structlog

from mesh.errors import Unavailable
from services.auth.repository.mail import Mail, MailRepository, Purpose
from services.auth.settings import Settings

_TIMEOUT_SECONDS = 20
_TEXTS = {
    Purpose.RESET_PASSWORD: (
        "Set a new password",
        """Somebody, hopefully you, asked for a new password for your account. This sets it, within an hour:

{link}

If it was not you, ignore this mail: your password stays as it is.
""",
    ),
    Purpose.VERIFY_EMAIL: (
        "Verify your e-mail address",
        """This verifies that your account has the right e-mail address, within three days:

{link}

If you have no account, ignore this mail.
""",
    ),
}

_log = structlog.get_logger(__name__)


class Post(Protocol):
    """A way to send mail."""

    def send(self, message: EmailMessage) -> None:
        """Sends a mail. Raises `OSError` or `SMTPException`."""
        ...


class SmtpPost:
    """Hands mail to an SMTP server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, message: EmailMessage) -> None:
        """Sends a mail. Raises `OSError` or `SMTPException`."""
        settings, context = self._settings, ssl.create_default_context()
        host, port = str(settings.smtp_host), settings.smtp_port
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
        with server:
            if settings.smtp_security == "starttls":
                server.starttls(context=context)
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(message)


class FolderPost:
    """Writes each mail to a file, for an installation without an SMTP server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage) -> None:
        """Writes a mail that only the owner of the process can read. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / f"{token_urlsafe(12)}.eml"
        file.touch(mode=0o600)
        file.write_bytes(bytes(message))


def post(settings: Settings) -> Post | None:
    """How this installation sends mail, or None if it does not."""
    if settings.smtp_host:
        return SmtpPost(settings)
    return FolderPost(settings.mail_folder) if settings.mail_folder else None


def token_digest(token: str) -> bytes:
    """What is stored of the token of a mail."""
    return hashlib.sha256(token.encode()).digest()


class Postman:
    """Sends what is due. Replicas share the work.

    links: by purpose, the address of the page that takes the token, which contains `{token}`
    """

    def __init__(self, mails: MailRepository, post: Post, sender: str, links: dict[Purpose, str]) -> None:
        self._mails = mails
        self._post = post
        self._sender = sender
        self._links = links

    async def send_due(self) -> None:
        """Sends all mails that are due. Raises `Unavailable` if one cannot be sent; it is due again later."""
        while mail := await self._mails.claim():
            token = token_urlsafe()
            await self._mails.add_token(mail, token_digest(token))
            try:
                await asyncio.to_thread(self._post.send, self._message(mail, token))
            except (OSError, smtplib.SMTPException) as error:
                raise Unavailable("SERVICE_UNAVAILABLE", "a mail could not be sent: {fault}", fault=type(error).__name__) from error
            await self._mails.complete(mail)
            _log.info("mail sent", purpose=mail.purpose, user_id=str(mail.user_id))

    def _message(self, mail: Mail, token: str) -> EmailMessage:
        subject, text = _TEXTS[mail.purpose]
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, mail.recipient, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text.format(link=self._links[mail.purpose].replace("{token}", token)))
        return message
