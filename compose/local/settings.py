"""What one may choose about the local stack: by the environment, or by lines in a file `.env` beside the Makefile."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings, env_file=ROOT / ".env", extra="ignore", frozen=True):
    stack_folder: Path = Field(ROOT / ".local", description="Where data, logs and secrets are kept.")
    postgres_url: str | None = Field(None, description="A PostgreSQL database to use; without one the stack runs a server of its own.")
    postgres_port: int = 54320
    auth_port: int = 50051
    catalog_port: int = 50052
    gateway_port: int = 8000
