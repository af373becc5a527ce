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
    # The address as it is compared.
    Column("email_key", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    # What a search looks through: address and name as they are compared.
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

# One row a sign-in, however often its refresh token was exchanged since.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    # The hash of the secret of the one refresh token that is good now.
    Column("secret_hash", LargeBinary, nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    # However much it is used, it expires then.
    Column("end_time", DateTime(timezone=True), nullable=False),
    Index("sign_ins_by_user", "user_id"),
    Index("sign_ins_by_expire_time", "expire_time"),
)

# How often somebody tried what is limited, by the key of the limit.
attempts = Table(
    "attempts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    # Until then every further try is refused, if there is such a time.
    Column("retry_time", DateTime(timezone=True)),
    # From then on the row means nothing.
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Index("attempts_by_expire_time", "expire_time"),
)

# The live pair: one key that signs, and one that will sign next (without a `sign_time`) or that signed before (with a `retire_time`).
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("sign_time", DateTime(timezone=True)),
    Column("retire_time", DateTime(timezone=True)),
)

# Deleted users whose events the recommender has still to forget.
forgettings = Table(
    "forgettings",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("forgettings_by_next_time", "next_time"),
)
