"""What one may choose about the local stack, by the environment or by lines in a file `.env` beside the Makefile."""

from pathlib import Path

from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings, frozen=True):
    """Read from the environment as they are called here, in capitals."""

    # Data, logs and secrets.
    stack_folder: Path = ROOT / ".local"
    # A PostgreSQL database to use; without one the stack runs a server of its own.
    postgres_url: str | None = None

    postgres_port: int = 54320
    auth_port: int = 50051
    catalog_port: int = 50052
    gateway_port: int = 8000

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.stack_folder / "logs"
