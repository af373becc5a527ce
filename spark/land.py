"""The command that lands a file of sales in the raw zone.

python -m spark.land FILE [--mapping MAPPING] [--raw-root webhdfs://127.0.0.1:9870/hashiramart/raw]
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, CliPositionalArg

from lake.errors import LakeError
from lake.hadoop.kerberos import KerberosSettings
from lake.landing.landing import land
from lake.landing.mapping import read_mapping


class Landing(BaseSettings, env_prefix="LANDING_", cli_kebab_case=True, frozen=True):
    """Lands a file of sales in the raw zone."""

    file: CliPositionalArg[Path] = Field(
        description="A file of sales: CSV of any dialect, NDJSON, plain or packed by gzip, zip or Zstandard; .xlsx, Parquet."
    )
    mapping: Path | None = Field(None, description="A YAML file that names the columns and the rules of the shop's files.")
    raw_root: str = Field(
        "webhdfs://127.0.0.1:9870/hashiramart/raw", description="The raw zone, as an fsspec URL; over HTTPS it begins with `swebhdfs:`."
    )


def main(arguments: list[str]) -> int:
    """Lands a file and prints the outcome; returns the exit code."""
    landing, kerberos = Landing(_cli_parse_args=arguments), KerberosSettings()
    report = _show_progress if sys.stderr.isatty() else lambda *_: None
    try:
        mapping = read_mapping(landing.mapping) if landing.mapping is not None else None
        print(land(landing.file, landing.raw_root, datetime.now(UTC).date(), report, mapping, kerberos.login))
    except LakeError as error:
        print(error, file=sys.stderr)
        return 1
    # fsspec raises RuntimeError for errors of WebHDFS.
    except (OSError, RuntimeError) as error:
        print(f"{landing.file} could not be landed: {error}. The raw zone is unchanged; the same command tries again.", file=sys.stderr)
        return 1
    return 0


def _show_progress(step: str, share: float) -> None:
    """Shows progress in one line of the terminal."""
    print(f"\r{step:>14} {share:4.0%} ", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
