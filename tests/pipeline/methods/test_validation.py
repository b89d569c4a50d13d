"""Lists of attributes in a method's settings: each once, by whichever of its names."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigError
from pipeline.methods.styleflow.method import StyleFlow
from pipeline.methods.validation import attribute_list


def test_an_attribute_that_is_named_twice_stands_there_once() -> None:
    assert attribute_list("m", "conditions", "age, yaw, age") == "age, yaw"
    assert attribute_list("m", "conditions", "expression, age, smile") == "expression, age", "two names of one"
    assert attribute_list("m", "conditions", "") == ""
    assert StyleFlow(conditions="age, yaw, age").parameters() == StyleFlow(conditions="age, yaw").parameters()


def test_an_unknown_attribute_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'age'"):
        attribute_list("m", "conditions", "yaw, agee")
