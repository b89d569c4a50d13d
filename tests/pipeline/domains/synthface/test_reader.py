"""The truth reader learns, its unit has known answers, and the shipped one tells persons apart."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from pipeline.domains.synthface import domain
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.training import reader as training
from pipeline.domains.synthface.training.judges import Mixed
from pipeline.domains.synthface.training.sets import PER_PERSON, RenderedSet, RenderSet
from pipeline.errors import WeightsError
from pipeline.networks.files import load_network
from pipeline.networks.truth_reader import Reader, distance
from pipeline.optimisation.schedule import Schedule
from stylegan.generator import Generator

SHOWN = ("skin_tone", "chin", "ear_size")  # the factors that a flat picture shows, one per colour


def flat_people(seed: int, persons: int = 400) -> RenderedSet:
    """Pictures of one colour, whose channels are three identity factors; the rest of a face cannot be seen."""
    rng = np.random.default_rng(seed)
    drawn = rng.random((persons, PER_PERSON, face_factors.N_FACTORS)).astype(np.float32)
    drawn[:, :, face_factors.IDENTITY_INDEX] = drawn[:, :1, face_factors.IDENTITY_INDEX]
    drawn = drawn.reshape(-1, face_factors.N_FACTORS)
    colours = drawn[:, [face_factors.column(name) for name in SHOWN]]
    images = np.broadcast_to(colours[:, :, None, None] * 255, (len(drawn), 3, 16, 16))
    return RenderedSet(images.astype(np.uint8), drawn)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        reader = Reader("residual", 8, face_factors.N_FACTORS, face_factors.IDENTITY_INDEX)
    schedule = Schedule(steps=150, batch=32, rate=5e-3, seed=1, average=20)
    folder = tmp_path_factory.mktemp("training")
    training.train_reader(reader, Mixed([flat_people(1)]), schedule, "reader", folder, lambda text: None)
    training.calibrate_reader(reader, flat_people(2))
    return reader.requires_grad_(False)


def test_what_can_be_seen_counts_and_the_rest_does_not(trained: Reader) -> None:
    names = [face_factors.FACTOR_NAMES[column] for column in trained.identity]
    read = trained(flat_people(3).batch(np.arange(1000))[0])[:, trained.identity] / trained.spread[trained.identity]
    moved = (read * trained.weight).std(dim=0)
    shown = torch.tensor([name in SHOWN for name in names])
    assert moved[shown].min() > 3 * moved[~shown].max()


def test_two_persons_are_one_apart_and_one_person_no_further_than_the_error(trained: Reader) -> None:
    """On persons that neither training nor calibration saw; brightness apart, flat pictures of one person are alike."""
    rows = trained.coordinates(flat_people(3).batch(np.arange(1000))[0]).reshape(-1, PER_PERSON, 22)
    same, other = training.pair_distances(rows)
    assert float(other.mean()) == pytest.approx(1, abs=0.15)
    assert float(same.max()) < 1e-4
    assert float(trained.error) < 1e-4


def test_the_share_of_a_reading_that_is_the_persons() -> None:
    rng = torch.Generator().manual_seed(0)
    person = torch.randn(2000, 1, 3, generator=rng).expand(-1, PER_PERSON, -1)
    noise = torch.randn(2000, PER_PERSON, 3, generator=rng)
    read = person * torch.tensor([1.0, 1.0, 0.0]) + noise * torch.tensor([0.0, 1.0, 1.0])
    torch.testing.assert_close(training.own_share(read), torch.tensor([1.0, 0.5, 0.0]), atol=0.03, rtol=0)
    assert training.own_share(torch.ones(5, PER_PERSON, 2)).tolist() == [0.0, 0.0]


def test_pairs_by_the_double_loop() -> None:
    rows = torch.randn(12, 3, 4, generator=torch.Generator().manual_seed(1))
    same, other = training.pair_distances(rows)
    of_one = [float((one[i] - one[j]).norm()) for one in rows for i in range(3) for j in range(3) if i != j]
    assert sorted(same.tolist()) == pytest.approx(sorted(of_one), rel=1e-5)
    by_hand = [float((rows[p, k] - rows[p - shift, k]).norm()) for shift in (1, 2) for p in range(12) for k in range(3)]
    assert other.tolist() == pytest.approx(by_hand, rel=1e-5)


def test_a_set_that_ends_within_a_person_leaves_that_one_out(trained: Reader) -> None:
    """As a set does that is shortened for a trial."""
    cut = flat_people(2, persons=6)
    cut = RenderedSet(cut.images[:-7], cut.factors[:-7])
    short, full = copy.deepcopy(trained), copy.deepcopy(trained)
    training.calibrate_reader(short, cut)
    training.calibrate_reader(full, RenderedSet(cut.images[:50], cut.factors[:50]))
    assert len(cut.images) == 53
    torch.testing.assert_close(short.state_dict(), full.state_dict())


def test_noise_in_the_readings_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings made by hand: a person's two coordinates, and a picture's noise of known size in both."""
    rng = torch.Generator().manual_seed(5)
    persons, noise = torch.randn(400, 1, 2, generator=rng), 0.5 * torch.randn(400, PER_PERSON, 2, generator=rng)
    read = (persons + noise).flatten(0, 1)
    reader = Reader("residual", 4, 3, [0, 2])
    monkeypatch.setattr(training, "_in_batches", lambda network, images: read)
    training.calibrate_reader(reader, flat_people(1, persons=4))
    assert reader.weight.tolist() == pytest.approx([0.8, 0.8], abs=0.03)
    # Differences of two pictures are normal in the plane: root mean square 2 s, mean s sqrt(pi) for noise of spread s.
    between = (1 + 0.5**2) ** 0.5 * np.pi**0.5
    assert float(reader.scale) == pytest.approx(0.8 * between, rel=0.04)
    assert float(reader.error) == pytest.approx(2 * 0.5 / between, rel=0.04)


def test_the_card_says_what_is_read_well(trained: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "DRIVEN", 2)
    people = flat_people(3)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = Generator(resolution=16, channels={4: 8, 8: 8, 16: 8}, mapping_layers=2).eval()
    card = training.measure_reader(trained, people, people, generator, flat_people(4, persons=3), z_seed=5)
    for kind in ("renders", "made"):
        assert set(card[kind]["factors"]) == set(face_factors.FACTOR_NAMES)  # type: ignore[index]
    factors = card["renders"]["factors"]  # type: ignore[index]
    assert min(factors[name]["r2"] for name in SHOWN) > 0.8
    assert factors["lip_fullness"]["r2"] < 0.1
    images, truth = people.batch(np.arange(len(people.images)))
    for name in ("chin", "lip_fullness", "yaw"):
        column = face_factors.column(name)
        read, true = trained(images)[:, column].numpy(), truth[:, column].numpy()
        assert factors[name]["r2"] == pytest.approx(r2_score(true, read), abs=1e-3)
        error = np.sqrt(np.mean((read - true) ** 2)) / float(trained.spread[column])
        assert factors[name]["error"] == pytest.approx(error, abs=1e-3)
    assert card["held_out_people"]["two_persons_mean"] == pytest.approx(1, abs=0.15)  # type: ignore[index]
    assert card["renders"]["correlation_with_true_distance"] > card["made"]["correlation_with_true_distance"]  # type: ignore[index]
    json.dumps(card, allow_nan=False)


def test_the_shipped_reader_tells_persons_apart() -> None:
    reader = load_network(Reader, domain.weights_path("reader"), torch.device("cpu"))
    assert reader.identity == face_factors.IDENTITY_INDEX
    assert 0 < float(reader.error) < 1
    drawn = RenderSet("identities", 31337, 400).factors(np.arange(12 * PER_PERSON))
    rows = reader.coordinates(render(drawn, 64).images)
    assert distance(rows, rows).tolist() == [0.0] * len(rows)
    same, other = training.pair_distances(rows.reshape(12, PER_PERSON, -1))
    assert same.mean() < 0.8 * other.mean()
    assert float(other.mean()) == pytest.approx(1, abs=0.25)


def test_the_domain_needs_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in domain.FOLDER.iterdir():
        if path.stem != "reader":
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.setattr(domain, "FOLDER", tmp_path)
    with pytest.raises(WeightsError, match="reader.safetensors"):
        domain.describe()
