"""The tables of the recommender's schema."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
)

from mesh.idempotency import IdempotentRequests

metadata = MetaData(schema="recommender")

events = Table(
    "events",
    metadata,
    # They are numbered as they are recorded.
    Column("number", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("product_id", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("customer_number", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    PrimaryKeyConstraint("number"),
    UniqueConstraint("user_id", "id", name="events_by_user_and_id"),
    CheckConstraint("kind IN ('view', 'cart', 'purchase', 'impression')", name="events_kind_check"),
)
# What one is shown says nothing of one's taste.
telling = events.c.kind != "impression"
Index("events_by_user", "user_id", "number", postgresql_where=telling, _table=events)
Index("events_by_customer", "customer_number", "number", postgresql_where=telling & (events.c.customer_number != ""), _table=events)

# One row: the last number. Who records or forgets holds this row until that can be seen, so that numbers are seen in their order.
event_log = Table("event_log", metadata, Column("last_number", BigInteger, nullable=False))

# Requests to record events.
requests = IdempotentRequests(metadata, Column("recorded_count", Integer), caller=Column("user_id", Text, nullable=False))

# Users who were deleted: nothing of them is recorded any more, and whoever has copies of their events is told.
forgotten_users = Table(
    "forgotten_users",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("forget_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Among those of the events.
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id"),
    UniqueConstraint("number", name="forgotten_users_by_number"),
)
