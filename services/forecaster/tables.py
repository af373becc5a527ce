"""The tables of the forecaster's schema."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from mesh.idempotency import IdempotentRequests

metadata = MetaData(schema="forecaster")

# Compared byte by byte, so that every server sorts alike.
_TEXT = Text(collation="C")

calendar_entries = Table(
    "calendar_entries",
    metadata,
    Column("id", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("first_date", Date, nullable=False),
    Column("last_date", Date, nullable=False),
    Column("product_id", _TEXT, nullable=False),
    Column("category", _TEXT, nullable=False),
    Column("discount_percent", Double, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    # When it became known as it is.
    Column("update_time", DateTime(timezone=True), nullable=False),
    # 1 for a new entry, and one more with every change.
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("id"),
)
Index("calendar_entries_by_first_date", "first_date", "id", _table=calendar_entries)

# Requests to write, with their responses.
requests = IdempotentRequests(metadata, Column("answer", LargeBinary))

reorder_policies = Table(
    "reorder_policies",
    metadata,
    # A product, or `default`.
    Column("product_id", _TEXT, nullable=False),
    Column("lead_time_days", Integer, nullable=False),
    Column("review_period_days", Integer, nullable=False),
    Column("service_level_percent", Double, nullable=False),
    Column("order_multiple", Integer, nullable=False),
    Column("on_order_units", Integer, nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    # 1 for a new policy, and one more with every change.
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("product_id"),
)

# What each served version of the model has forecast.
served_forecasts = Table(
    "served_forecasts",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("model_version", _TEXT, nullable=False),
    # A new MLflow counts from 1 again, so the number alone does not identify a model.
    Column("artifact_sha256", _TEXT, nullable=False),
    # The last day that the forecast is based on.
    Column("through_date", Date, nullable=False),
    Column("scored_through_date", Date, nullable=False),
    # When it was last served.
    Column("serve_time", DateTime(timezone=True), nullable=False),
    # A file of `ml.forecaster.served`.
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("model_version", "artifact_sha256"),
)

# Sums over the series of a level, by forecast and day.
forecast_scores = Table(
    "forecast_scores",
    metadata,
    Column("forecast_id", BigInteger, ForeignKey(served_forecasts.c.id, ondelete="CASCADE"), nullable=False),
    Column("date", Date, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("horizon_day", Integer, nullable=False),
    Column("series_count", Integer, nullable=False),
    Column("actual", Double, nullable=False),
    Column("error", Double, nullable=False),
    Column("absolute_error", Double, nullable=False),
    Column("backtest_error", Double, nullable=False),
    Column("open_count", Integer, nullable=False),
    Column("covered_80", Integer, nullable=False),
    Column("covered_95", Integer, nullable=False),
    PrimaryKeyConstraint("forecast_id", "date", "kind"),
)
Index("forecast_scores_by_date", "date", _table=forecast_scores)

# Days of series far outside of their band.
forecast_outliers = Table(
    "forecast_outliers",
    metadata,
    Column("forecast_id", BigInteger, ForeignKey(served_forecasts.c.id, ondelete="CASCADE"), nullable=False),
    Column("date", Date, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("actual", Double, nullable=False),
    Column("mean", Double, nullable=False),
    Column("lower", Double, nullable=False),
    Column("upper", Double, nullable=False),
    Column("distance", Double, nullable=False),
    PrimaryKeyConstraint("forecast_id", "date", "kind", "name"),
)
Index("forecast_outliers_by_date", "date", "distance", _table=forecast_outliers)
