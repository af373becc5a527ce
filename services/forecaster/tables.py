"""The tables of the forecaster's schema."""

from sqlalchemy import Column, Date, DateTime, Double, Index, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text

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
