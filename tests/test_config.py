"""Settings: from JSON and from text into dataclasses, with errors that name the setting."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.config import from_dict, help_of, override, setting, to_dict
from chatbot.corpus.cleaning import CleaningConfig
from chatbot.decoding import SamplingConfig
from chatbot.errors import ConfigError
from chatbot.models import FAMILIES
from chatbot.preparation import ExamplesConfig
from chatbot.tokenizer import TokenizerConfig


@dataclass(frozen=True, kw_only=True)
class Oven:
    """Every kind of setting there is."""

    shelves: int = setting(3, "how many trays fit")
    heat: float = setting(180.0, "degrees")
    fan: bool = setting(False, "whether the air moves")
    mode: Literal["bake", "grill"] = setting("bake", "where the heat comes from")
    name: str = setting("old", "what it is called")
    timer: int | None = setting(None, "minutes; none never rings")
    trays: tuple[int, ...] = setting((2, 5), "what stands on each shelf")
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.shelves < 1:
            raise ConfigError(f"shelves must be at least 1, not {self.shelves}")


@dataclass(frozen=True)
class Recipe:
    """One setting has no default."""

    title: str
    minutes: int = 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OVENS = st.builds(
    Oven,
    shelves=st.integers(min_value=1),
    heat=st.floats(allow_nan=False, allow_infinity=False),
    fan=st.booleans(),
    mode=st.sampled_from(["bake", "grill"]),
    name=st.text(),
    timer=st.none() | st.integers(),
    trays=st.lists(st.integers(), max_size=4).map(tuple),
    notes=st.dictionaries(st.text(max_size=3), st.integers() | st.none() | st.text(), max_size=3),
)


@given(OVENS)
def test_a_config_comes_back_from_json_as_it_went_in(oven: Oven) -> None:
    assert from_dict(Oven, json.loads(json.dumps(to_dict(oven)))) == oven


@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Oven)]), JSON))
def test_any_json_is_read_or_refused_by_name(values: dict[str, Any]) -> None:
    refusal = ""
    try:
        oven = from_dict(Oven, values)
    except ConfigError as error:
        refusal = error.what
    assert not refusal or any(name in refusal for name in values)
    for name, value in ({} if refusal else values).items():
        got = getattr(oven, name)
        assert (list(got) if name == "trays" else got) == value
        assert not isinstance(got, bool) or name == "fan"


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"shelfs": 4}, "Oven has no setting 'shelfs'", "did you mean 'shelves'?"),
        ({"shelves": "4"}, "Oven.shelves must be a whole number, not '4'", ""),
        ({"shelves": 4.0}, "Oven.shelves must be a whole number, not '4.0'", ""),
        ({"shelves": True}, "Oven.shelves must be a whole number, not 'True'", ""),
        ({"shelves": None}, "Oven.shelves must be a whole number, not 'None'", ""),
        ({"shelves": 0}, "shelves must be at least 1, not 0", ""),
        ({"heat": "hot"}, "Oven.heat must be a number, not 'hot'", ""),
        ({"heat": 10**400}, f"Oven.heat must be a number, not '1{'0' * 79}...'", ""),
        ({"heat": False}, "Oven.heat must be a number, not 'False'", ""),
        ({"fan": 1}, "Oven.fan must be true or false, not '1'", ""),
        ({"mode": "boil"}, "Oven.mode must be one of bake, grill, not 'boil'", ""),
        ({"name": 5}, "Oven.name must be text, not '5'", ""),
        ({"trays": "25"}, "Oven.trays must be a list, not '25'", ""),
        ({"trays": [2, "5"]}, "Oven.trays must be a whole number, not '5'", ""),
        ({"notes": [1]}, "Oven.notes must be an object, not '[1]'", ""),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_dict(Oven, values)
    assert (error.value.what, error.value.hint) == (message, hint)


def test_of_what_is_long_only_the_beginning_is_quoted() -> None:
    for values in ({"z" * 3000: 4}, {"mode": "z" * 3000}, {"shelves": ["z"] * 1000}):
        with pytest.raises(ConfigError) as error:
            from_dict(Oven, values)
        assert len(error.value.what) < 150
        assert error.value.what.endswith("...'")


def test_a_setting_like_no_other_is_answered_with_the_list_of_all() -> None:
    with pytest.raises(ConfigError) as error:
        from_dict(Recipe, {"xyzzy": 1})
    assert error.value.hint == "known: minutes, title"


def test_a_whole_number_is_welcome_where_a_fraction_may_stand() -> None:
    heat = from_dict(Oven, {"heat": 200}).heat
    assert heat == 200.0
    assert isinstance(heat, float)


def test_a_missing_setting_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"recipe is incomplete: .*title"):
        from_dict(Recipe, {"minutes": 3}, "recipe")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("shelves", "5", 5),
        ("heat", "1e2", 100.0),
        ("heat", "7", 7.0),
        ("fan", "on", True),
        ("fan", "YES", True),
        ("fan", "0", False),
        ("mode", "grill", "grill"),
        ("name", "none", "none"),
        ("name", "", ""),
        ("timer", "12", 12),
        ("timer", "none", None),
        ("timer", "", None),
    ],
)
def test_text_is_read_as_the_settings_type(name: str, text: str, value: object) -> None:
    old = Oven(timer=9, fan=value is False, name="new")
    changed = override(old, {name: text})
    assert getattr(changed, name) == value
    assert type(getattr(changed, name)) is type(value)
    assert dataclasses.replace(changed, **{name: getattr(old, name)}) == old


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shelves": "many"}, "Oven.shelves must be a whole number, not 'many'"),
        ({"shelves": "2.5"}, "Oven.shelves must be a whole number, not '2.5'"),
        ({"shelves": "9" * 5000}, "Oven.shelves must be a whole number"),
        ({"shelves": "-1"}, "shelves must be at least 1, not -1"),
        ({"fan": "maybe"}, "Oven.fan must be on or off, not 'maybe'"),
        ({"timer": "soon"}, "Oven.timer must be a whole number, not 'soon'"),
        ({"mode": "Bake"}, "Oven.mode must be one of bake, grill, not 'Bake'"),
        ({"trays": "2,5"}, "Oven.trays must be a list, not '2,5'"),
        ({"hat": "180"}, "Oven has no setting 'hat'"),
    ],
)
def test_text_of_another_type_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        override(Oven(), changes)
    assert error.value.what.startswith(message)


def test_help_says_the_default() -> None:
    assert help_of(Oven, "shelves") == "how many trays fit  [default: 3]"


CONFIGS: dict[str, Any] = {
    c.__name__: c for c in (CleaningConfig, ExamplesConfig, SamplingConfig, TokenizerConfig)
}


@pytest.mark.parametrize("owner", [*CONFIGS, *FAMILIES, "TrainingConfig"])
def test_every_setting_has_its_help_and_survives_json(owner: str) -> None:
    config = CONFIGS[owner] if owner in CONFIGS else _heavy(owner)
    for field in dataclasses.fields(config):
        assert help_of(config, field.name).strip()
        default = {"True": "on", "False": "off", "": "none", "None": "none"}.get(
            str(field.default), field.default
        )
        assert f"[default: {default}]" in help_of(config, field.name)
    assert from_dict(config, json.loads(json.dumps(to_dict(config())))) == config()


def _heavy(owner: str) -> Any:
    """What imports torch, imported by the test that needs it."""
    if owner in FAMILIES:
        return FAMILIES.load(owner).Config
    from chatbot.training import TrainingConfig

    return TrainingConfig
