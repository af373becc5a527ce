"""Stores served forecasts, their scores and their outliers."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    case,
    column,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Insert

from mesh.database import Database
from mesh.paging import Place
from ml.forecaster.forecasts import Scope, ScopeKind
from ml.forecaster.served import SERVED_DAYS, DayScore, Outlier
from services.forecaster.accuracy import HORIZONS, PERIOD_DAYS, ScoreSums
from services.forecaster.tables import forecast_outliers as outliers
from services.forecaster.tables import forecast_scores as scores
from services.forecaster.tables import served_forecasts as forecasts

_incoming = insert(forecasts).values(
    model_version=bindparam("model_version"),
    artifact_sha256=bindparam("artifact_sha256"),
    through_date=bindparam("through_date"),
    scored_through_date=bindparam("through_date"),
    serve_time=func.clock_timestamp(),
    content=bindparam("content", type_=LargeBinary),
)
_KEEP = _incoming.on_conflict_do_update(
    index_elements=[forecasts.c.model_version, forecasts.c.artifact_sha256],
    set_={"content": _incoming.excluded.content, "serve_time": func.clock_timestamp()},
)
# The bytes of a forecast and of those that were served later.
_sizes = select(
    forecasts.c.id,
    func.row_number().over(order_by=forecasts.c.serve_time.desc()).label("place"),
    func.sum(func.length(forecasts.c.content)).over(order_by=forecasts.c.serve_time.desc()).label("byte_count"),
).subquery()
_DELETE_OLDEST = delete(forecasts).where(
    forecasts.c.id.in_(select(_sizes.c.id).where(_sizes.c.place > 1, _sizes.c.byte_count > bindparam("max_bytes", type_=BigInteger)))
)
_last_day = func.least(forecasts.c.through_date + SERVED_DAYS, bindparam("sales_through", type_=Date))
_PENDING = (
    select(forecasts.c.id, forecasts.c.scored_through_date, _last_day.label("last_date"))
    .where(forecasts.c.scored_through_date < _last_day)
    .order_by(forecasts.c.id)
)
_CONTENT = select(forecasts.c.content).where(forecasts.c.id == bindparam("id", type_=BigInteger))
# Only one of several replicas scores a day.
_ADVANCE = (
    update(forecasts)
    .where(forecasts.c.id == bindparam("id", type_=BigInteger), forecasts.c.scored_through_date == bindparam("scored_through", type_=Date))
    .values(scored_through_date=bindparam("last_date", type_=Date))
)
_LATEST = select(func.max(scores.c.date))
_SUMMED = ScoreSums._fields[4:]
_bucket = case(*((scores.c.horizon_day <= last, index) for index, (_, last) in enumerate(HORIZONS)))
_SUMS = (
    select(scores.c.kind, _bucket.label("bucket"), *(func.sum(scores.c[name]) for name in _SUMMED))
    .where(scores.c.date > bindparam("after", type_=Date))
    .group_by(scores.c.kind, _bucket)
    .order_by(scores.c.kind, _bucket)
)
_OUTLIER_FIELDS = ("date", "kind", "name", "actual", "mean", "lower", "upper", "distance")
# Lists go from the largest to the smallest of these.
_PLACE = ("after_date", "after_distance", "after_kind", "after_name", "after_forecast_id")
_ORDER = [outliers.c[name] for name in ("date", "distance", "kind", "name", "forecast_id")]


def _insert_rows(table: Table, names: Sequence[str]) -> Insert:
    """Inserts rows of one forecast, which come as an array for each column."""
    types = {name: table.c[name].type for name in names}
    rows = (
        func.unnest(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()))
        .table_valued(*(column(name, type_) for name, type_ in types.items()))
        .render_derived("rows")
    )
    values = select(bindparam("forecast_id", type_=BigInteger), *(rows.c[name] for name in names))
    return insert(table).from_select(["forecast_id", *names], values)


_INSERT_SCORES = _insert_rows(scores, DayScore._fields)
_INSERT_OUTLIERS = _insert_rows(outliers, _OUTLIER_FIELDS)


class PendingForecast(NamedTuple):
    """A forecast of days that have sales now and are not scored."""

    id: int
    scored_through: date
    last_date: date
    """The last day to score."""


class ListedOutlier(NamedTuple):
    """An outlier, and what had forecast it."""

    forecast_id: int
    model_version: str
    origin: date
    outlier: Outlier

    @property
    def place(self) -> Place:
        """The position in a list."""
        scope = self.outlier.scope
        return self.outlier.date.isoformat(), self.outlier.distance, scope.kind, scope.name, self.forecast_id


class AccuracyRepository:
    """Served forecasts and what became of them."""

    def __init__(self, database: Database, max_bytes: int) -> None:
        """max_bytes: of the served forecasts together"""
        self._database = database
        self._max_bytes = max_bytes

    async def keep(self, model_version: str, artifact_sha256: str, through: date, content: bytes) -> None:
        """Keeps what a version forecasts, in place of what it did before; then deletes the oldest beyond the limit, with their scores.

        The one that is kept stays, however large it is.
        """
        async with self._database.begin() as transaction:
            await transaction.execute(
                _KEEP, model_version=model_version, artifact_sha256=artifact_sha256, through_date=through, content=content
            )
            await transaction.execute(_DELETE_OLDEST, max_bytes=self._max_bytes)

    async def pending(self, sales_through: date) -> list[PendingForecast]:
        """The forecasts of days up to the last with sales that are not scored."""
        return [PendingForecast(*row) for row in await self._database.fetch(_PENDING, sales_through=sales_through)]

    async def content(self, id: int) -> bytes | None:
        """The file of a forecast; None if it was deleted meanwhile."""
        content: bytes | None = await self._database.fetch_value(_CONTENT, id=id)
        return content

    async def save(self, pending: PendingForecast, day_scores: Sequence[DayScore], found: Sequence[Outlier]) -> None:
        """Saves the scores of a forecast and its outliers, unless another replica has."""
        async with self._database.begin() as transaction:
            if await transaction.execute(_ADVANCE, id=pending.id, scored_through=pending.scored_through, last_date=pending.last_date):
                await transaction.execute(_INSERT_SCORES, forecast_id=pending.id, **_columns(DayScore._fields, day_scores))
                rows = [(each.date, each.scope.kind, each.scope.name, *each[2:]) for each in found]
                await transaction.execute(_INSERT_OUTLIERS, forecast_id=pending.id, **_columns(_OUTLIER_FIELDS, rows))

    async def scored_through(self) -> date | None:
        """The last day that was scored."""
        latest: date | None = await self._database.fetch_value(_LATEST)
        return latest

    async def sums(self, scored_through: date) -> list[ScoreSums]:
        """The sums of both periods, by level and horizon, without those that nothing was scored of."""
        found = []
        for period, days in PERIOD_DAYS.items():
            for kind, bucket, *totals in await self._database.fetch(_SUMS, after=scored_through - timedelta(days=days)):
                found.append(ScoreSums(period, kind, *HORIZONS[bucket], *totals))
        return found

    async def outliers(self, kind: ScopeKind | None, after: Place | None, limit: int) -> list[ListedOutlier]:
        """Outliers, the latest day first, then the farthest. kind: only of this level; after: only those that follow this position"""
        conditions: dict[str, object] = {"kind": kind} if kind else {}
        if after:
            day, *others = after
            conditions |= dict(zip(_PLACE, (date.fromisoformat(str(day)), *others), strict=True))
        rows = await self._database.fetch(_outlier_page(kind is not None, after is not None), limit=limit, **conditions)
        return [
            ListedOutlier(id, version, origin, Outlier(day, Scope(kind, name), *values))
            for id, version, origin, day, kind, name, *values in rows
        ]


@cache
def _outlier_page(of_kind: bool, after: bool) -> Select[Any]:
    statement = select(
        forecasts.c.id, forecasts.c.model_version, forecasts.c.through_date, *(outliers.c[name] for name in _OUTLIER_FIELDS)
    ).join_from(outliers, forecasts)
    if of_kind:
        statement = statement.where(outliers.c.kind == bindparam("kind", type_=Text))
    if after:
        place = tuple_(*(bindparam(name, type_=key.type) for name, key in zip(_PLACE, _ORDER, strict=True)))
        statement = statement.where(tuple_(*_ORDER) < place)
    return statement.order_by(*(key.desc() for key in _ORDER)).limit(bindparam("limit", type_=Integer))


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """The values of each column."""
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
