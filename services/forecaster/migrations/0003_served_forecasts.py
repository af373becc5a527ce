"""Served forecasts, their scores and their outliers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text(collation="C")


def upgrade() -> None:
    op.create_table(
        "served_forecasts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("model_version", _TEXT, nullable=False),
        sa.Column("artifact_sha256", _TEXT, nullable=False),
        sa.Column("through_date", sa.Date, nullable=False),
        sa.Column("scored_through_date", sa.Date, nullable=False),
        sa.Column("serve_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_version", "artifact_sha256"),
        schema="forecaster",
    )
    op.create_table(
        "forecast_scores",
        sa.Column("forecast_id", sa.BigInteger, sa.ForeignKey("forecaster.served_forecasts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("horizon_day", sa.Integer, nullable=False),
        sa.Column("series_count", sa.Integer, nullable=False),
        sa.Column("actual", sa.Double, nullable=False),
        sa.Column("error", sa.Double, nullable=False),
        sa.Column("absolute_error", sa.Double, nullable=False),
        sa.Column("backtest_error", sa.Double, nullable=False),
        sa.Column("open_count", sa.Integer, nullable=False),
        sa.Column("covered_80", sa.Integer, nullable=False),
        sa.Column("covered_95", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("forecast_id", "date", "kind"),
        schema="forecaster",
    )
    op.create_index("forecast_scores_by_date", "forecast_scores", ["date"], schema="forecaster")
    op.create_table(
        "forecast_outliers",
        sa.Column("forecast_id", sa.BigInteger, sa.ForeignKey("forecaster.served_forecasts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("actual", sa.Double, nullable=False),
        sa.Column("mean", sa.Double, nullable=False),
        sa.Column("lower", sa.Double, nullable=False),
        sa.Column("upper", sa.Double, nullable=False),
        sa.Column("distance", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("forecast_id", "date", "kind", "name"),
        schema="forecaster",
    )
    op.create_index("forecast_outliers_by_date", "forecast_outliers", ["date", "distance"], schema="forecaster")
