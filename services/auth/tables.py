"""The tables of auth's schema."""

from sqlalchemy import (
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
    Index("sign_ins_by_user", "user_id"),
    Index("sign_ins_by_expire_time", "expire_time"),
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

# Deleted users whose events the recommender has not deleted yet.
forgettings = Table(
    "forgettings",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("forgettings_by_next_time", "next_time"),
)
