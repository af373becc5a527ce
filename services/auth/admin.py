"""Administrative commands: `python -m services.auth.admin --help`."""

import argparse
import asyncio
import getpass
import sys
from dataclasses import replace
from secrets import token_urlsafe

from hashiramart.auth.v1 import auth_pb2
from mesh import database
from mesh.errors import InvalidArgument, StatusError
from mesh.identity import Role
from mesh.interceptors.validation import violations
from mesh.settings import MeshSettings, read
from services.auth.common_passwords import check_password
from services.auth.domain import EmailTaken, KeyStillNeeded, UnknownSigningKey, email_address
from services.auth.keys import SigningKeys, signing_keys
from services.auth.passwords import Passwords
from services.auth.repository.second_factors import SecondFactorRepository
from services.auth.repository.users import UserRepository
from services.auth.sealing import WrongSealingSecret, sealing
from services.auth.second_factors import PURPOSE, reseal_secrets
from services.auth.settings import Settings

_GENERATED_PASSWORD_BYTES = 18


async def create_admin(users: UserRepository, email: str, password: str) -> None:
    """Creates a user who is an admin."""
    email = email_address(email)
    try:
        check_password(password, email)
    except InvalidArgument as error:
        sys.exit(f"Invalid password: {error.message}.")
    if wrong := violations(auth_pb2.CreateUserRequest(email=email, password=password)):
        sys.exit(f"Invalid {wrong[0].field}: {wrong[0].description}.")
    try:
        await users.create(email, "", Role.ADMIN, await Passwords().hash(password))
    except EmailTaken:
        sys.exit(f"{email} already has an account. Use --promote to make it an admin account.")
    print(f"{email} is an admin.", file=sys.stderr)


async def promote(users: UserRepository, email: str) -> None:
    """Makes an existing user an admin."""
    user = await users.find_by_email(email_address(email))
    if user is None:
        sys.exit(f"{email} has no account. Omit --promote to create one.")
    await users.update(user.id, lambda user: replace(user, role=Role.ADMIN))
    print(f"{user.email} is an admin.", file=sys.stderr)


async def rotate_keys(keys: SigningKeys) -> None:
    """Makes the waiting key the one that signs."""
    await keys.rotate()
    print("The next key signs from now on. Tokens signed by the previous key remain valid.", file=sys.stderr)


async def reseal(keys: SigningKeys, factors: SecondFactorRepository, settings: Settings) -> None:
    """Seals keys and second factors with AUTH_SECRET, some of which are sealed with AUTH_PREVIOUS_SECRET."""
    await reseal_secrets(factors, sealing(PURPOSE, settings))
    await keys.reseal()
    print("All keys and second factors are sealed with AUTH_SECRET. AUTH_PREVIOUS_SECRET is no longer needed.", file=sys.stderr)


async def drop_key(keys: SigningKeys, id: str) -> None:
    """Makes the tokens that a key has signed invalid, such as those of a stolen key."""
    await keys.drop(id)
    print(f"The key {id} is gone. All services refuse its tokens within seconds; clients get new ones.", file=sys.stderr)


async def main(arguments: argparse.Namespace) -> None:
    settings, mesh = read(Settings), read(MeshSettings)
    async with await database.connect(str(settings.database_url), mesh) as postgres:
        keys = signing_keys(postgres, settings)
        if arguments.command == "rotate-keys":
            await rotate_keys(keys)
        elif arguments.command == "reseal":
            await reseal(keys, SecondFactorRepository(postgres), settings)
        elif arguments.command == "drop-key":
            await drop_key(keys, arguments.id)
        elif arguments.promote:
            await promote(UserRepository(postgres), arguments.email)
        else:
            password = _read_password(arguments)
            await create_admin(UserRepository(postgres), arguments.email, password)
            if arguments.generate_password:
                print(password)


def _parse_arguments(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.auth.admin", description="Runs in the environment of the auth service, whose settings it reads."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-admin", help="create an admin; prompts for the password, or reads it from standard input")
    create.add_argument("--email", required=True)
    method = create.add_mutually_exclusive_group()
    method.add_argument("--generate-password", action="store_true", help="generate a password and print it")
    method.add_argument("--promote", action="store_true", help="make an existing user an admin")
    commands.add_parser("reseal", help="seal the signing keys and second factors with AUTH_SECRET after a change from AUTH_PREVIOUS_SECRET")
    drop = commands.add_parser("drop-key", help="refuse all tokens that a signing key has signed, at once: for a key that was stolen")
    drop.add_argument("id", help="the key's id: `kid` in the header of tokens and in /.well-known/jwks.json")
    commands.add_parser("rotate-keys", help="make the next key sign; no user is signed out")
    return parser.parse_args(command_line)


def _read_password(arguments: argparse.Namespace) -> str:
    """A new password: generated, typed twice, or read from standard input."""
    if arguments.generate_password:
        return token_urlsafe(_GENERATED_PASSWORD_BYTES)
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Repeat the password: ") != password:
        sys.exit("The two passwords differ.")
    return password


if __name__ == "__main__":
    try:
        asyncio.run(main(_parse_arguments(sys.argv[1:])))
    except StatusError as error:
        sys.exit(f"{error.message[0].upper()}{error.message[1:]}.")
    except (WrongSealingSecret, KeyStillNeeded, UnknownSigningKey) as error:
        sys.exit(str(error))
