"""The roles of PostgreSQL, and the URLs by which they connect. Imports only the standard library."""

from urllib.parse import unquote, urlsplit, urlunsplit

# The services with tables. `migrator` owns their tables; MLflow owns its own.
SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs")
ROLES = ("migrator", *SERVICES, "mlflow")


def secret(role: str) -> str:
    """The name of the secret that is the password of a role."""
    return f"{role.upper()}_DATABASE_PASSWORD"


def role_url(admin_url: str, role: str, password: str) -> str:
    """The URL by which a role connects to the database of another role's URL.

    The name of the role in PostgreSQL begins with that of the database, since all databases of a server share its roles.
    """
    parts = urlsplit(admin_url)
    # Supabase's pooler finds the project by what follows a dot in the user's name.
    _, dot, project = unquote(parts.username or "").partition(".")
    database, host = parts.path.removeprefix("/"), parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{database}_{role}{dot}{project}:{password}@{host}"))
