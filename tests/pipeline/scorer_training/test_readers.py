from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.attributes import INDEX
from pipeline.networks import human
from pipeline.networks.face_api import dense
from pipeline.scorer_training.generated.readers import READ, values


@pytest.mark.parametrize("words", [dense.EMOTIONS, human.EMOTIONS], ids=["face-api", "human"])
def test_readings_become_values_by_the_limits_of_the_attributes(words: tuple[str, ...]) -> None:
    emotions = torch.eye(7)[[[*words].index(word) for word in words if word in ("happy", "neutral")]]
    pose = torch.tensor([[45.0, -40.0, 0.0], [-100.0, 10.0, 15.0]])  # yaw, pitch, roll
    found = values(torch.tensor([30.0, 90.0]), torch.tensor([0.25, 1.0]), pose, emotions, words)
    column = {name: found[:, INDEX[name]].tolist() for name in READ}
    assert column["age"] == pytest.approx([0.4, 1]) and column["gender"] == [0.25, 1]
    assert column["yaw"] == [0.75, 0] and column["pitch"] == [0, 0.625] and column["roll"] == [0.5, 0.75]
    assert sorted(column["smile"]) == [0, 1] and sorted(column["neutral"]) == [0, 1]
    assert column["smile"] != column["neutral"] and column["anger"] == [0, 0]
    unread = [name for name in INDEX if name not in READ]
    assert "contempt" in unread and np.isnan(found[:, [INDEX[name] for name in unread]]).all()
