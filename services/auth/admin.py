"""What is done by hand: making an admin, rotating the keys. `python -m services.auth.admin --help` says how."""

import argparse
import asyncio
import getpass
import sys
from dataclasses import replace
from secrets import token_urlsafe

from hashiramart.auth.v1 import auth_pb2
from mesh import database
from mesh.errors import StatusError
from mesh.identity import Role
from mesh.interceptors.validation import violations
from mesh.settings import MeshSettings, read
from services.auth.domain import EmailTaken, KeyStillNeededError, email_address
from services.auth.keys import KeysNotOpenedError, SigningKeys
from services.auth.passwords import Passwords
from services.auth.repository import KeyRepository, UserRepository
from services.auth.settings import Settings


async def create_admin(users: UserRepository, email: str, password: str) -> None:
    """Makes a new user an admin."""
    email = email_address(email)
    if wrong := violations(auth_pb2.CreateUserRequest(email=email, password=password)):
        sys.exit(f"The {wrong[0].field} is not good: {wrong[0].description}.")
    try:
        await users.add(email, "", Role.ADMIN, await Passwords().hash(password))
    except EmailTaken:
        sys.exit(f"{email} has an account. Add --promote to make it an admin's.")
    print(f"{email} is an admin.", file=sys.stderr)


async def promote(users: UserRepository, email: str) -> None:
    """Makes a user who has an account an admin."""
    user = await users.find(email_address(email))
    if user is None:
        sys.exit(f"{email} has no account. Leave --promote out to make one.")
    await users.change(user.id, lambda user: replace(user, role=Role.ADMIN))
    print(f"{user.email} is an admin.", file=sys.stderr)


async def rotate_keys(keys: SigningKeys) -> None:
    """Lets the other key sign."""
    await keys.rotate()
    print("The next key signs from now on. Tokens that the last one signed stay good.", file=sys.stderr)


def password_of(arguments: argparse.Namespace) -> str:
    """A new password: made up, typed twice, or read from standard input."""
    if arguments.generate_password:
        return token_urlsafe(18)
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        sys.exit("The two passwords differ.")
    return password


def arguments_of(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.auth.admin", description="Runs in the environment of the auth service, whose settings it reads."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-admin", help="make an admin; asks for the password, or reads it from standard input")
    create.add_argument("--email", required=True)
    how = create.add_mutually_exclusive_group()
    how.add_argument("--generate-password", action="store_true", help="make a password up and print it")
    how.add_argument("--promote", action="store_true", help="make an admin of a user who has an account")
    commands.add_parser("rotate-keys", help="let the other key sign; nobody is signed out")
    return parser.parse_args(command_line)


async def main(arguments: argparse.Namespace) -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    async with await database.connect(str(settings.database_url), mesh) as postgres:
        if arguments.command == "rotate-keys":
            await rotate_keys(SigningKeys(KeyRepository(postgres), settings.secret.get_secret_value()))
        elif arguments.promote:
            await promote(UserRepository(postgres), arguments.email)
        else:
            password = password_of(arguments)
            await create_admin(UserRepository(postgres), arguments.email, password)
            if arguments.generate_password:
                print(password)


if __name__ == "__main__":
    try:
        asyncio.run(main(arguments_of(sys.argv[1:])))
    except StatusError as refusal:
        sys.exit(f"{refusal.message[0].upper()}{refusal.message[1:]}.")
    except (KeysNotOpenedError, KeyStillNeededError) as error:
        sys.exit(str(error))
