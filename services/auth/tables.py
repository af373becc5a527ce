"""The tables of auth's schema."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)

from mesh.idempotency import IdempotentRequests

metadata = MetaData(schema="auth", naming_convention={"uq": "%(table_name)s_%(column_0_name)s_key"})

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    # The address in the form in which it is compared.
    Column("email_key", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    # The text that a search looks through: address and name, in the form in which they are compared.
    Column("search_text", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer_number", Text, unique=True),
    Column("disabled", Boolean, nullable=False, server_default="false"),
    Column("password_hash", Text, nullable=False),
    # The address at which the user has shown to receive mail; another than `email` if that was changed since.
    Column("verified_email", Text),
    # Whether `second_factors` has a confirmed one.
    Column("has_second_factor", Boolean, nullable=False, server_default="false"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("role IN ('customer', 'staff', 'admin')", name="users_role_check"),
    Index("users_by_create_time", "create_time", "id"),
    Index("users_by_role", "role", "create_time", "id"),
)

# One row per sign-in, however often its refresh token has been exchanged.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    # The hash of the secret of the one refresh token that is valid now.
    Column("secret_hash", LargeBinary, nullable=False),
    # Postponed whenever the refresh token is exchanged, but never beyond `end_time`.
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # When the refresh token was exchanged last.
    Column("use_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Where the user signed in: the address, the network that counts for limits, and the program; empty for sign-ins of an older version.
    Column("address", Text, nullable=False, server_default=""),
    Column("network", Text, nullable=False, server_default=""),
    Column("user_agent", Text, nullable=False, server_default=""),
    Index("sign_ins_by_user", "user_id"),
    Index("sign_ins_by_expire_time", "expire_time"),
)

# Secrets of one-time codes; in use once they are confirmed.
second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("confirm_time", DateTime(timezone=True)),
    # The step of time whose code was taken last: those up to it are not taken again.
    Column("last_step", BigInteger, nullable=False, server_default="0"),
    # Of the recovery codes that are left.
    Column("recovery_digests", ARRAY(LargeBinary), nullable=False, server_default="{}"),
)

# The number of recent attempts, by the key of the limit that they count against.
attempts = Table(
    "attempts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    # Until this time, further attempts are refused; null if they are not.
    Column("retry_time", DateTime(timezone=True)),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Index("attempts_by_expire_time", "expire_time"),
)

# Two rows: the key that signs, and the key that signs next (without a `sign_time`) or signed before (with a `retire_time`).
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("sign_time", DateTime(timezone=True)),
    Column("retire_time", DateTime(timezone=True)),
)

# Mail to be sent. The token of a mail is made when it is sent, and only its digest is stored.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("next_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("outbox_by_next_time", "next_time"),
)

# The tokens of mails that were sent.
mail_tokens = Table(
    "mail_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Index("mail_tokens_by_user", "user_id"),
    Index("mail_tokens_by_expire_time", "expire_time"),
)

# Access tokens that are no longer valid, by user or sign-in, until the last of them would have expired.
revocations = Table(
    "revocations",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("not_before_time", DateTime(timezone=True), nullable=False),
    Index("revocations_by_time", "not_before_time"),
)

# Calls that changed something or were refused, of all services.
audit_events = Table(
    "audit_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("rpc", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("client_address", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("call_count", Integer, nullable=False),
    Index("audit_events_by_time", "event_time", "id"),
    Index("audit_events_by_subject", "subject", "event_time", "id"),
    Index("audit_events_by_resource", "resource", "event_time", "id"),
)

# Deleted users whose events the recommender has not deleted yet.
forgettings = Table(
    "forgettings",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("forgettings_by_next_time", "next_time"),
)

# Visitors whose events the recommender has not made a user's yet.
handovers = Table(
    "handovers",
    metadata,
    Column("visitor_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("customer_number", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("handovers_by_next_time", "next_time"),
)

# Requests to create or update a user, with the user: what is answered is the user as of now, and goes with it.
requests = IdempotentRequests(metadata, Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE")))
Index("requests_by_user", requests.table.c.user_id)
