"""The local stack after a change of its code, as after `git pull`."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stack.engines import postgres
from stack.processes.sources import FOLDERS
from tests.e2e.stack import ROOT, Stack, own_stack, running

NEWS = '''"""News."""

import sqlalchemy as sa
from alembic import op

revision = "news"
down_revision = "{last}"


def upgrade() -> None:
    op.create_table("news", sa.Column("text", sa.Text), schema="jobs")
'''


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two services of a copy of the code, which the test changes."""
    checkout = tmp_path_factory.mktemp("checkout")
    for folder in (*FOLDERS, "compose", "stack", "requirements"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    own = own_stack(tmp_path_factory.mktemp("stack"), ("postgres", "auth", "jobs"))
    with running(replace(own, checkout=checkout)) as stack:
        yield stack


def restarted_since(stack: Stack, before: dict[str, int]) -> set[str]:
    now = stack.pids()
    assert set(now) == set(before)
    return {name for name, pid in now.items() if pid != before[name]}


def has_news(stack: Stack) -> bool:
    """Whether the table of the new migration exists."""
    command = ("sh", "-c", '"$0" "$JOBS_DATABASE_URL" --command "TABLE jobs.news"', postgres.binary("psql"))
    return stack.run("run", "jobs", *command).returncode == 0


def test_up_after_an_update_runs_the_new_code_on_migrated_tables_and_keeps_engines_running(stack: Stack) -> None:
    first = stack.pids()
    with (stack.checkout / "requirements" / "dev.txt").open("a") as locked:
        locked.write("# another version of something\n")
    # An `up` of some processes leaves the others running.
    replace(stack, processes=("auth",)).up()
    assert restarted_since(stack, first) == {"auth"}

    second = stack.pids()
    migrations = stack.checkout / "services" / "jobs" / "migrations"
    last = max(path.name for path in migrations.glob("0*.py")).partition("_")[0]
    (migrations / "news.py").write_text(NEWS.format(last=last))
    assert "is up:" in stack.up()
    assert restarted_since(stack, second) == {"auth", "jobs"}
    assert has_news(stack)

    third = stack.pids()
    assert "is up already" in stack.up()
    assert restarted_since(stack, third) == set()
