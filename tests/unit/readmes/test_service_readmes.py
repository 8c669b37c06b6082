"""Every service folder says what it is, its subjects, its settings, and what happens when it dies."""

import importlib
from pathlib import Path

import pytest

from podwire.scripts.cluster.components import COMPONENTS
from podwire.services.chassis.settings import ProcessSettings

COMMON = ProcessSettings.__struct_fields__


def readme_of(component: str) -> str:
    folder = Path(str(importlib.import_module(COMPONENTS[component].package).__file__)).parent
    return (folder / "README.md").read_text()


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_readme_has_its_parts(component: str) -> None:
    text = readme_of(component)
    assert [part for part in ("Subjects", "Settings", "When it dies") if part not in text] == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_readme_names_every_setting_of_its_own(component: str) -> None:
    text = readme_of(component)
    own = [name for name in COMPONENTS[component].settings.__struct_fields__ if name not in COMMON]
    assert [name for name in own if f"PODWIRE_{name.upper()}" not in text] == []


def test_a_missing_setting_would_be_noticed() -> None:
    assert "PODWIRE_NO_SUCH_SETTING" not in readme_of("node")
