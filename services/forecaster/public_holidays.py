"""The public holidays of countries, as entries of the calendar."""

from mesh.errors import InvalidArgument
from services.forecaster.calendar import EntryDetails, Row

_MAX_YEARS = 10


def holiday_rows(country: str, subdivision: str, first_year: int, last_year: int, closed: bool) -> list[Row]:
    """The public holidays of these years, in order. Raises `InvalidArgument`.

    country, subdivision: as in ISO 3166; the subdivision may be empty
    closed: whether they are closures
    """
    if last_year < first_year:
        raise InvalidArgument("last_year is before first_year", field="last_year")
    if last_year - first_year >= _MAX_YEARS:
        raise InvalidArgument("at most {limit} years at once", field="last_year", limit=_MAX_YEARS)
    # At the first use: it is a tenth of the CPU time of the service's start.
    import holidays

    known = holidays.list_supported_countries()
    if country not in known:
        raise _unknown("country_code", country)
    if subdivision and subdivision not in known[country]:
        raise _unknown("subdivision_code", subdivision)
    found = holidays.country_holidays(country, subdiv=subdivision or None, years=range(first_year, last_year + 1))
    prefix = "-".join(filter(None, ("holiday", country, subdivision))).lower()
    return [
        Row(number, f"{prefix}-{day:%Y%m%d}", EntryDetails("closure" if closed else "holiday", name[:200], day, day, "", "", 0.0))
        for number, (day, name) in enumerate(sorted(found.items()), start=1)
    ]


def _unknown(field: str, code: str) -> InvalidArgument:
    return InvalidArgument("there are no public holidays for '{code}'", field=field, reason="COUNTRY_UNKNOWN", code=code)
