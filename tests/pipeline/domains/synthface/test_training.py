"""The training loop resumes to the same weights, and rendered sets depend on nothing but their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline import attributes
from pipeline.domains.synthface import copula
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.camera import grain
from pipeline.domains.synthface.training.build import Workshop
from pipeline.domains.synthface.training.generator import OF_PARENT, all_w, average_with, new_generator, value_error
from pipeline.domains.synthface.training.judges import CLASSES, Mixed
from pipeline.domains.synthface.training.loop import batch_of, train
from pipeline.domains.synthface.training.sets import (
    EMOTIONS,
    HAIR_COLOURS,
    PER_PERSON,
    RARE,
    RenderSet,
    kind_of,
    rendered,
)
from pipeline.domains.synthface.truth import truth_factors, truth_normals, w_of_truth
from pipeline.errors import StageError, TrainingDivergedError
from pipeline.optimisation.schedule import Schedule


class InterruptedTrainingError(Exception):
    pass


def fit(folder: Path, stop_at: int | None = None, poison: bool = False, faces: str = "") -> nn.Linear:
    torch.manual_seed(3)
    network = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = Schedule(steps=40, batch=8, rate=0.2, seed=5, average=4, save_seconds=0.0)

    def loss_of(step: int) -> Tensor:
        if step == stop_at:
            raise InterruptedTrainingError
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        loss = (network(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return loss * float("nan") if poison else loss

    train("line", {"network": network}, optimizer, loss_of, schedule, folder, {"faces": faces}, say=lambda text: None)
    return network


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole")
    with pytest.raises(InterruptedTrainingError):
        fit(tmp_path / "broken", stop_at=23)
    resumed = fit(tmp_path / "broken")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


def test_a_checkpoint_of_other_faces_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, faces="some")
    with pytest.raises(StageError, match="faces 'some' there, 'others' here.*remove .*line.ckpt to start over"):
        fit(tmp_path, faces="others")


def test_weights_trained_further_are_another_training_than_those_that_they_began_from(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, 1, 1, further=True)
    first, second = ({"sha256": digit * 64} for digit in "ab")
    assert shop.files("scorer_a", first) == "scorer_a-further-aaaaaaaa"
    assert shop.files("scorer_a", second) != shop.files("scorer_a", first)
    assert Workshop(tmp_path, 1, 1).files("scorer_a", None) == "scorer_a"


def test_training_learns(tmp_path: Path) -> None:
    assert (fit(tmp_path).weight - 1).abs().max() < 0.4


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="line: the loss is nan"):
        fit(tmp_path, poison=True)


def test_a_step_draws_the_same_rows_every_time() -> None:
    assert np.array_equal(batch_of(1, 7, 100, 16), batch_of(1, 7, 100, 16))
    assert not np.array_equal(batch_of(1, 7, 100, 16), batch_of(1, 8, 100, 16))


@pytest.mark.parametrize("kind", ["generator", "rare", "natural", "broad", "identities"])
def test_a_face_of_a_set_depends_on_its_id_alone(kind: str) -> None:
    wanted = RenderSet(kind, seed=9, count=300)
    ids = np.array([3, 70, 249])
    together = wanted.factors(ids)
    alone = torch.cat([wanted.factors(ids[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert together.min() >= 0
    assert together.max() <= 1


def test_persons_keep_their_identity_and_vary_in_the_rest() -> None:
    faces = RenderSet("identities", seed=9, count=100).factors(np.arange(2 * PER_PERSON))
    one, other = faces[:PER_PERSON], faces[PER_PERSON:]
    fixed = [*face_factors.IDENTITY_INDEX, attributes.INDEX["gender"]]
    assert (one[:, fixed] == one[:1, fixed]).all()
    assert not torch.equal(one[0, fixed], other[0, fixed])
    assert one[:, attributes.INDEX["yaw"]].std() > 0.01


def test_broad_faces_show_what_natural_ones_hardly_do() -> None:
    ids = np.arange(512)
    natural, broad = (RenderSet(kind, seed=9, count=512).factors(ids) for kind in ("natural", "broad"))
    rare = attributes.INDEX["mouth_occluded"]
    assert natural[:, rare].mean() < 0.03
    assert 0.03 < broad[:, rare].mean() < 0.1  # covers hide what others are asked about
    assert broad[:, attributes.INDEX["surprise"]].mean() > 3 * natural[:, attributes.INDEX["surprise"]].mean()
    glasses = broad[:, [attributes.INDEX[n] for n in ("reading_glasses", "sunglasses", "glasses")]]
    assert (glasses[:, :2].amax(dim=1) <= glasses[:, 2]).all()


def test_broad_faces_do_not_contradict_themselves() -> None:
    faces = RenderSet("broad", seed=9, count=512).factors(np.arange(512))
    value = {name: faces[:, attributes.INDEX[name]] for name in attributes.NAMES}
    emotions = torch.stack([value[name] for name in ("smile", *EMOTIONS)])
    one = (emotions > 0).sum(dim=0) <= 1
    redrawn = one & (emotions.sum(dim=0) + value["neutral"] - 1).abs().lt(1e-6)
    assert 0.4 < redrawn.float().mean() < 0.7  # half of them, and natural faces that happen to be so
    women = value["gender"] < 0.5
    assert value["beard"][women].mean() < 0.1
    assert value["beard"][~women].mean() > 0.2


def test_broad_hair_has_any_leading_colour_over_the_usual_rest() -> None:
    ids, columns = np.arange(2000), [attributes.INDEX[name] for name in HAIR_COLOURS]
    natural, broad = (RenderSet(kind, 9, 2000).factors(ids)[:, columns] for kind in ("natural", "broad"))
    assert torch.allclose(natural.sort(dim=1).values, broad.sort(dim=1).values)
    lead = [torch.bincount(faces.argmax(dim=1), minlength=len(columns)) / len(faces) for faces in (natural, broad)]
    assert lead[0].min() < 0.05
    assert lead[1].min() > 0.08


def test_rare_faces_lie_around_the_edge_of_something_rare() -> None:
    ids = np.arange(2000)
    rare, usual = (RenderSet(kind, seed=9, count=2000).factors(ids) for kind in ("rare", "generator"))
    for name in ("eye_occluded", "mouth_occluded", "fear", "sadness"):
        shown = [float((faces[:, attributes.INDEX[name]] >= RARE[name]).float().mean()) for faces in (rare, usual)]
        assert shown[0] > 3 * shown[1], name
        assert 0.02 < shown[0] < 0.2, name
    # What has nothing to do with the edge is drawn as ever.
    roll = attributes.INDEX["roll"]
    assert rare[:, roll].mean() == pytest.approx(float(usual[:, roll].mean()), abs=0.01)
    assert rare[:, roll].std() == pytest.approx(float(usual[:, roll].std()), abs=0.01)


def test_rare_faces_can_be_of_some_attributes_alone() -> None:
    ids = np.arange(1000)
    some = RenderSet("rare", 9, 1000, of=("sunglasses", "gender"))
    drawn, usual = some.factors(ids), RenderSet("generator", 9, 1000).factors(ids)
    assert some.name == "rare-sunglasses-gender-9-1000-64-world4"
    sun, fear = attributes.INDEX["sunglasses"], attributes.INDEX["fear"]
    assert 0.15 < drawn[:, sun].mean() < 0.4
    assert drawn[:, fear].mean() < 2 * usual[:, fear].mean() + 0.01


def test_a_rare_set_can_draw_closer_to_the_edge() -> None:
    ids, index = np.arange(1000), attributes.INDEX["sunglasses"]
    near, nearer = (RenderSet("rare", 9, 1000, of=("sunglasses",), spread=spread) for spread in (0.5, 0.1))
    assert near.name == "rare-sunglasses-9-1000-64-world4"
    assert nearer.name == "rare-sunglasses-0.1-9-1000-64-world4"
    row = copula.cholesky()[index].float()
    normals = [truth_normals(wanted.w(ids))[:, :35] @ row for wanted in (near, nearer)]
    assert float(normals[0].std()) == pytest.approx(0.5, abs=0.05)
    assert float(normals[1].std()) == pytest.approx(0.1, abs=0.01)
    assert 0.4 < nearer.factors(ids)[:, index].mean() < 0.6


def test_a_scorer_that_is_sure_and_wrong_of_a_binary_value_gives_a_slope() -> None:
    logits = torch.full((1, 35), -9.0, requires_grad=True)
    value_error(logits, torch.ones(1, 35)).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, attributes.INDEX["glasses"]] == pytest.approx(-0.25, abs=1e-3)
    assert abs(float(logits.grad[0, attributes.INDEX["age"]])) < 1e-3


def test_the_normals_of_rare_faces_give_w_back() -> None:
    w = RenderSet("generator", 9, 50).w(np.arange(50))
    assert torch.allclose(w_of_truth(truth_normals(w)), w, atol=1e-4)


def test_only_faces_of_the_generators_world_have_a_w() -> None:
    with pytest.raises(ValueError, match="'broad' have no w"):
        RenderSet("broad", 9, 5).w(np.arange(5))


def test_a_generator_trained_further_is_averaged_with_the_one_that_it_began_from() -> None:
    trained, parent = new_generator(1), new_generator(2)
    name = "synthesis.b16.conv0.weight"
    own, former = trained.get_parameter(name).clone(), parent.get_parameter(name)
    mapping = trained.mapping.get_parameter("fc0.weight").clone()
    average_with(trained, parent)
    assert torch.allclose(trained.get_parameter(name), (1 - OF_PARENT) * own + OF_PARENT * former, atol=1e-6)
    assert torch.equal(trained.mapping.get_parameter("fc0.weight"), mapping)


def test_w_of_several_sets_follow_their_faces() -> None:
    sets = [RenderSet("generator", 9, 5), RenderSet("rare", 9, 3)]
    w = all_w(sets)
    drawn = torch.cat([wanted.factors(np.arange(wanted.count)) for wanted in sets])
    assert torch.allclose(truth_factors(w), drawn, atol=1e-5)


def test_the_last_noise_of_a_new_generator_is_the_grain_of_the_camera() -> None:
    network = new_generator(1)
    assert torch.equal(network.synthesis.get_buffer("b64.conv1.noise_const"), grain(64)[0, 0])


def test_every_kind_of_face_has_a_number() -> None:
    kinds = kind_of(RenderSet("broad", seed=9, count=4096).factors(np.arange(2000)))
    assert kinds.min() >= 0
    assert kinds.max() < CLASSES
    assert len(kinds.unique()) > CLASSES / 2


def test_a_rendered_set_is_kept_and_read_in_any_rows(tmp_path: Path) -> None:
    wanted = RenderSet("natural", seed=9, count=6, resolution=16)
    first = rendered(wanted, tmp_path, workers=1, say=lambda text: None)
    written = (tmp_path / f"{wanted.name}.images.npy").stat().st_mtime_ns
    again = rendered(wanted, tmp_path, workers=1, say=lambda text: None)
    assert (tmp_path / f"{wanted.name}.images.npy").stat().st_mtime_ns == written
    images, drawn = Mixed([first, again]).batch(np.array([2, 8]))
    assert torch.equal(images[0], images[1])
    assert torch.equal(drawn[0], wanted.factors(np.arange(6))[2])
    assert images.abs().max() <= 1
