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
    # The position in the event log.
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
# A user does not choose what is shown, so an impression says nothing about their taste.
is_user_action = events.c.kind != "impression"
Index("events_by_user", "user_id", "number", postgresql_where=is_user_action, _table=events)
Index("events_by_customer", "customer_number", "number", postgresql_where=is_user_action & (events.c.customer_number != ""), _table=events)

# One row: the last number of the log. A transaction that takes numbers locks it until it ends, so that numbers become visible in order.
event_log = Table("event_log", metadata, Column("last_number", BigInteger, nullable=False))

# Requests to record events.
requests = IdempotentRequests(metadata, Column("recorded_count", Integer), caller=Column("user_id", Text, nullable=False))

# Deleted users: their events are no longer recorded, and exports of the log name them, so that copies of their events are removed.
forgotten_users = Table(
    "forgotten_users",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("forget_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # The position in the event log.
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id"),
    UniqueConstraint("number", name="forgotten_users_by_number"),
)
