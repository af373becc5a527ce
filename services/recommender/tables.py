"""The tables of the recommender's schema."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB

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
    # The list that led to the event, where it was shown, and the product's position in it; empty and 0 if unknown.
    Column("recommendation_id", Text, nullable=False, server_default=""),
    Column("slot", Text, nullable=False, server_default=""),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("order_id", Text, nullable=False, server_default=""),
    Column("unit_price_cents", Integer),
    # What else the shop wants to know, as JSON; empty for nothing.
    Column("context", Text, nullable=False, server_default=""),
    # Whether it is exported, or says something about its own shopper alone.
    Column("counts_for_others", Boolean, nullable=False, server_default="true"),
    PrimaryKeyConstraint("number"),
    UniqueConstraint("user_id", "id", name="events_by_user_and_id"),
    CheckConstraint(
        "kind IN ('view', 'cart', 'purchase', 'impression', 'click', 'remove_from_cart', 'wishlist', 'dismiss', 'return')",
        name="events_kind_check",
    ),
)
# A user does not choose what is shown, so an impression says nothing about their taste.
is_user_action = events.c.kind != "impression"
Index("events_by_user", "user_id", "number", postgresql_where=is_user_action, _table=events)
Index("events_by_customer", "customer_number", "number", postgresql_where=is_user_action & (events.c.customer_number != ""), _table=events)

# A product is bought once per order, and given back once. What a shopper says of an order is unique among what the shopper says.
_counts, _has_order = events.c.counts_for_others, events.c.order_id != ""
Index("events_by_order", "order_id", "product_id", "kind", unique=True, postgresql_where=_has_order & _counts, _table=events)
Index(
    "events_by_user_and_order",
    "user_id",
    "order_id",
    "product_id",
    "kind",
    unique=True,
    postgresql_where=_has_order & ~_counts,
    _table=events,
)
Index("events_by_recommendation", "recommendation_id", postgresql_where=events.c.recommendation_id != "", _table=events)

# Visitors with events, and when they were here last.
visitors = Table(
    "visitors",
    metadata,
    Column("visitor_id", Text, primary_key=True),
    Column("visit_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("visitors_by_visit_time", "visit_time"),
)

# Lists that were made for users and visitors. Their ids sort by time.
exposures = Table(
    "exposures",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("fallback_step", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("first_position", Integer, nullable=False),
    # In the order of their positions: a list of product id, propensity and rule id each.
    Column("products", JSONB, nullable=False),
    # The experiment that the list was part of, and its arm; empty for none.
    Column("experiment_id", Text, nullable=False, server_default=""),
    Column("arm", Text, nullable=False, server_default=""),
    # The position in the log of exposures. Null until the log is read that far.
    Column("number", BigInteger),
    Index("exposures_by_user", "user_id", "id"),
    Index("exposures_by_slot", "slot", "id"),
    Index("exposures_by_time", "create_time"),
)
Index("exposures_by_experiment", "experiment_id", "arm", postgresql_where=exposures.c.experiment_id != "", _table=exposures)
Index("exposures_by_number", "number", unique=True, postgresql_where=exposures.c.number.is_not(None), _table=exposures)
Index("exposures_without_number", "id", postgresql_where=exposures.c.number.is_(None), _table=exposures)
# The rules that moved an exposure's products: an array of their ids.
rules_of_products = literal_column("""jsonb_path_query_array(products, '$[*][2] ? (@ != "")')""", JSONB)
Index("exposures_by_rule", rules_of_products, postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}, _table=exposures)

# One row: the last number of the log of exposures.
exposure_log = Table("exposure_log", metadata, Column("last_number", BigInteger, nullable=False))

# Who has taken part in which experiment, since when, and in which arm at first.
participants = Table(
    "participants",
    metadata,
    Column("experiment_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("customer_number", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("first_time", DateTime(timezone=True), nullable=False),
    # Whether they were seen in the other arm as well.
    Column("is_mixed", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("experiment_id", "user_id"),
    Index("participants_by_user", "user_id"),
)

# Users who took part in no experiment before they signed up as a visitor, by whose id experiments go on to assign them.
sign_ups = Table("sign_ups", metadata, Column("user_id", Text, primary_key=True), Column("visitor_id", Text, nullable=False))

# One row: the number of the last change of slots, rules, experiments or shadows, which the next one locks.
merchandising = Table("merchandising", metadata, Column("number", BigInteger, nullable=False))

# Slots, rules, experiments and shadows, as the contract's messages in JSON, with the number of their last change.
slots, rules, experiments, shadows = (
    Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        Column("content", JSONB, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )
    for name in ("slots", "rules", "experiments", "shadows")
)

# Lists that versions made in shadow, beside those of `exposures` with the same ids. They do not say for whom.
shadow_lists = Table(
    "shadow_lists",
    metadata,
    Column("id", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    # The products, in the order of their positions; empty after an error.
    Column("product_ids", JSONB, nullable=False),
    # The share of the products shown that are in this list too.
    Column("overlap", Double, nullable=False),
    Column("milliseconds", Double, nullable=False),
    Column("shown_milliseconds", Double, nullable=False),
    Column("error", Text, nullable=False),
    PrimaryKeyConstraint("model_version", "id"),
    Index("shadow_lists_by_time", "create_time"),
)

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
    # The position in the event log. Null if a replica of an older version forgot the user, until the log is read.
    Column("number", BigInteger),
    PrimaryKeyConstraint("user_id"),
    UniqueConstraint("number", name="forgotten_users_by_number"),
)
