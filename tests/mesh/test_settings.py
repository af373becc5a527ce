"""Settings from the environment and from files."""

from pathlib import Path

import pytest
from pydantic import DirectoryPath, SecretStr

from mesh.settings import EnvironmentSettings, MeshSettings, ShopSettings, read


class Settings(EnvironmentSettings, env_prefix="SHOP_"):
    """The settings of a process."""

    name: str
    secret: SecretStr
    folder: DirectoryPath | None = None


def test_a_secret_may_be_in_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SHOP_SECRET").write_text("hush\n")
    monkeypatch.setenv("SECRETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("SHOP_NAME", "corner")
    settings = read(Settings)
    assert (settings.name, settings.secret.get_secret_value()) == ("corner", "hush")


def test_the_environment_takes_precedence_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SHOP_NAME").write_text("file")
    monkeypatch.setenv("SECRETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("SHOP_NAME", "environment")
    monkeypatch.setenv("SHOP_SECRET", "hush")
    assert read(Settings).name == "environment"


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SHOP_NAME": "corner", "SHOP_SECRET": "hush", "SHOP_FOLDER": ""}.items():
        monkeypatch.setenv(name, value)
    assert read(Settings).folder is None


def test_a_missing_or_invalid_setting_exits_with_its_name_and_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_NAME", "corner")
    with pytest.raises(SystemExit, match="^SHOP_SECRET: Field required$"):
        read(Settings)
    monkeypatch.setenv("MESH_TLS_KEY", "/no/such/file")
    monkeypatch.setenv("MESH_DEADLINE_SECONDS", "soon")
    with pytest.raises(SystemExit) as ended:
        read(MeshSettings)
    assert "MESH_TLS_KEY: " in str(ended.value) and "MESH_DEADLINE_SECONDS: " in str(ended.value)
    assert "soon" not in str(ended.value)


def test_the_shop_has_one_currency_and_one_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (read(ShopSettings).currency, read(ShopSettings).time_zone.key) == ("GBP", "UTC")
    monkeypatch.setenv("SHOP_CURRENCY", "JPY")
    monkeypatch.setenv("SHOP_TIME_ZONE", "Asia/Tokyo")
    assert (read(ShopSettings).currency, read(ShopSettings).time_zone.key) == ("JPY", "Asia/Tokyo")
    monkeypatch.setenv("SHOP_CURRENCY", "yen")
    monkeypatch.setenv("SHOP_TIME_ZONE", "Asia/Edo")
    with pytest.raises(SystemExit) as ended:
        read(ShopSettings)
    assert "SHOP_CURRENCY: " in str(ended.value) and "SHOP_TIME_ZONE: " in str(ended.value)
