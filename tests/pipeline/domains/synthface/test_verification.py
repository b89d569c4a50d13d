"""Verification's pure functions know their answers, and its table decides the exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from pipeline import attributes
from pipeline.domains.synthface.factors import FACTOR_NAMES, FACTORS, N_FACTORS, PARTS, draw_factors
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.training.build import SETS
from pipeline.domains.synthface.truth import make_mapping
from pipeline.domains.synthface.verification import GROUPS, chosen_groups, figures, population, probes, samples
from pipeline.domains.synthface.verification import generator as made
from pipeline.domains.synthface.verification import latent_space as space
from pipeline.domains.synthface.verification import renderer as drawn
from pipeline.domains.synthface.verification.dci import EXTREME, dci, disentanglement, extremes, kept, tree_gains
from pipeline.domains.synthface.verification.figures import SCHEMA, Bench, Figure, as_lines, exit_code, summary, write
from pipeline.domains.synthface.verification.networks import images_per_second, quality, size_figures
from pipeline.domains.synthface.verification.run import MEASURE
from pipeline.errors import ConfigError, UnknownNameError
from stylegan.generator import Generator
from stylegan.mapping import MappingNetwork
from tasks.cli import app, synthface_verify

GOOD = Figure("bar", "good", 2.0, 10, ">=", 1.0)
BAD = Figure("bar", "bad", 2.0, 10, "<=", 1.0, note="too large")
PLAIN = Figure("other", "", 0.123456, 5)


def bench(folder: Path) -> Bench:
    def never(*arguments: object) -> dict[str, dict[str, float]]:
        raise AssertionError("not to be called")

    return Bench(folder, 1, 1, lambda *moments: 0.0, never, say=lambda text: None)


@pytest.fixture(scope="module")
def mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


# The table


@pytest.mark.parametrize(
    ("direction", "figure", "passes"),
    [(">=", 1.0, True), (">=", 0.9, False), ("<=", 1.0, True), ("<=", 1.1, False), ("=", 1.0, True), ("=", 2.0, False)],
)
def test_a_figure_meets_its_limit_or_not(direction: figures.Direction, figure: float, passes: bool) -> None:
    assert Figure("bar", "", figure, 1, direction, 1.0).passes is passes


def test_what_is_not_a_number_fails_and_what_has_no_limit_has_no_verdict() -> None:
    assert Figure("bar", "", float("nan"), 1, "<=", 1.0).passes is False
    assert Figure("bar", "", float("nan"), 1, ">=", 1.0).passes is False
    assert PLAIN.passes is None
    with pytest.raises(ValueError, match="come together"):
        Figure("bar", "", 1.0, 1, ">=")


def test_the_exit_code_says_whether_a_bar_is_missed() -> None:
    assert exit_code([GOOD, PLAIN]) == 0
    assert exit_code([]) == 0
    assert exit_code([GOOD, BAD, PLAIN]) == 1
    assert summary([GOOD, BAD, PLAIN]) == "1 of 2 figures meet their bar, 1 have none. Missed: bar: bad"


def test_lines_align_and_leave_details_out() -> None:
    lines = as_lines([GOOD, BAD, PLAIN, Figure("hidden", "", 1.0, 1, detail=True)])
    assert len(lines) == 4
    assert lines[0].split() == ["what", "figure", "bar", "n", "passes", "note"]
    assert lines[2].split() == ["bar:", "bad", "2", "<=", "1", "10", "NO", "too", "large"]
    assert lines[3].split() == ["other", "0.1235", "5"]
    assert len({line.index(word) for line, word in zip(lines[1:3], (">= 1", "<= 1"), strict=True)}) == 1


def test_the_file_has_a_row_per_figure(tmp_path: Path) -> None:
    path = tmp_path / "new" / "verify.parquet"
    write([GOOD, BAD, PLAIN], path)
    table = pq.read_table(path)
    assert table.schema.names == SCHEMA.names
    assert table["passes"].to_pylist() == [True, False, None]
    assert table["limit"].to_pylist() == [1.0, 1.0, None]
    assert table["figure"].to_pylist() == [2.0, 2.0, 0.123456]
    assert list(path.parent.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--out"):
        write([GOOD], tmp_path / "file" / "verify.parquet")


def test_a_measurement_shares_its_seconds_among_its_figures(tmp_path: Path) -> None:
    told: list[str] = []
    one = bench(tmp_path)
    rows = Bench(tmp_path, 1, 1, one.frechet_distance, one.boundaries, told.append).measure("it", lambda: [GOOD, BAD])
    assert rows[0].seconds == rows[1].seconds >= 0
    assert told[-1].endswith("1 of 2 figures miss their bar")


# Groups and the command


def test_groups_are_known_by_name() -> None:
    assert tuple(MEASURE) == GROUPS == chosen_groups([])
    assert chosen_groups(["networks", "population"]) == ("population", "networks")
    with pytest.raises(UnknownNameError, match="Did you mean 'renderer'"):
        chosen_groups(["rendrer"])


@pytest.mark.parametrize(("rows", "code"), [([GOOD, PLAIN], 0), ([GOOD, BAD], 1)])
def test_the_command_exits_by_its_bars(
    rows: list[Figure], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEASURE, "population", lambda bench: rows)
    path = tmp_path / "verify.parquet"
    result = CliRunner().invoke(app, ["synthface", "verify", "--only", "population", "--out", str(path)])
    assert result.exit_code == code
    assert "bar: good" in result.stdout
    assert pq.read_table(path).num_rows == 2


def test_the_command_knows_the_closest_name() -> None:
    result = CliRunner().invoke(app, ["synthface", "verify", "--only", "populaton"])
    assert result.exit_code == 2
    assert "Did you mean 'population'" in result.stderr


def test_boundaries_are_those_of_interfacegan() -> None:
    w = torch.randn(600, 512, generator=torch.Generator().manual_seed(1))
    values = torch.sigmoid(2 * w[:, :35])
    values[:, 20] = 0.0
    facts = synthface_verify._boundaries(w, values, 3)
    assert set(facts) == set(attributes.NAMES)
    assert facts["smile"]["positives"] == 12
    assert facts[attributes.NAMES[20]]["trained"] is False


# Seeds


def test_no_training_and_no_card_used_these_faces() -> None:
    used = {one.seed for one in SETS.values()} | {one.seed + 1 for one in SETS.values()}
    held_out = [one.seed for one in samples.HELD_OUT.values()]
    others = [samples.FACTOR_SEED, samples.W_SEED, samples.G_SEED, samples.EDIT_SEED]
    assert len(set(held_out + others)) == len(held_out + others)
    assert not used & {*held_out, *others, samples.HELD_OUT["people"].seed + 1}


# DCI


def test_dci_knows_its_ends() -> None:
    assert dci(np.eye(6)) == pytest.approx((1.0, 1.0))
    assert dci(np.ones((6, 4))) == pytest.approx((0.0, 0.0))


def test_a_dimension_without_importance_does_not_count() -> None:
    padded = np.vstack([np.eye(3), np.zeros((5, 3))])
    assert dci(padded)[0] == pytest.approx(1.0)


def test_several_dimensions_of_one_attribute_are_disentangled_but_not_complete() -> None:
    rows = np.repeat(np.eye(2), 2, axis=0) / 2
    assert dci(rows) == pytest.approx((1.0, 0.5))


def test_dci_agrees_with_the_slow_formula() -> None:
    rows = np.random.default_rng(4).random((7, 5))
    total = 0.0
    for row in rows:
        share = row / row.sum()
        entropy = -sum(p * np.log(p) / np.log(5) for p in share)
        total += row.sum() / rows.sum() * (1 - entropy)
    assert dci(rows)[0] == pytest.approx(total)


@pytest.mark.parametrize("rows", [np.zeros((3, 3)), -np.eye(3), np.ones((1, 3)), np.full((2, 2), np.nan)])
def test_importances_that_are_none_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="importances"):
        dci(rows)


def test_extremes_and_kept_attributes() -> None:
    low, high = extremes(np.linspace(1, 0, 1000))
    assert set(low) == set(range(980, 1000)) and set(high) == set(range(20))
    values = np.zeros((1000, 35))
    values[:49, 0], values[:50, 1], values[:950, 2], values[:951, 3] = 1, 1, 1, 1
    assert kept(values) == [1, 2]


def test_tree_gains_follow_scikit_learns_importances() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(5)
    codes = rng.standard_normal((400, 6)).astype(np.float32)
    sides = (codes[:, 1] + 0.5 * codes[:, 4] + 0.2 * rng.standard_normal(400) > 0).astype(np.int64)
    gains, vote = tree_gains(codes, sides, 0)
    reference = GradientBoostingClassifier(random_state=0).fit(codes, sides).feature_importances_
    assert gains.sum() == pytest.approx(1)
    assert np.abs(gains - reference).max() < 0.08
    assert (vote(codes) == sides).mean() > 0.95


def test_a_space_of_its_own_axes_is_disentangled_and_a_mixed_one_is_not() -> None:
    rng = np.random.default_rng(6)
    count = int(60 / EXTREME)
    values = np.full((count, 35), 0.2)
    values[:, :5] = rng.random((count, 5))
    mixing = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    own = disentanglement(lambda places: values[places, :5], values)
    mixed = disentanglement(lambda places: values[places, :5] @ mixing, values)
    assert own.attributes == attributes.NAMES[:5]
    assert own.disentanglement > 0.9 and own.completeness > 0.9 and own.informativeness > 0.97
    assert mixed.disentanglement < own.disentanglement - 0.2


# Probes


def test_probes_read_what_they_can() -> None:
    rng = torch.Generator().manual_seed(7)
    codes = torch.randn(2000, 6, generator=rng)
    truth = torch.stack([codes[:, 0] - codes[:, 1], codes[:, 2] * codes[:, 3]], dim=1)
    linear = probes.linear_r2(codes, truth, 1500)
    boosted = probes.boosted_r2(codes, truth, 1500, seed=1)
    network = probes.network_r2(codes, truth, 1500, seed=1, epochs=30)
    assert linear[0] > 0.999 and linear[1] < 0.05
    assert boosted[1] > 0.5
    assert network.min() > 0.8
    assert np.array_equal(network, probes.network_r2(codes, truth, 1500, seed=1, epochs=30))


def test_the_gap_counts_the_eight() -> None:
    linear, nonlinear = np.zeros(35), np.zeros(35)
    nonlinear[[attributes.INDEX[name] for name in ("age", "yaw", "smile", "blur")]] = 0.06
    count, *rows = space.gap_figures("factors", linear, nonlinear, 100)
    assert count.figure == 3 and count.passes is False
    assert {row.subject for row in rows if row.figure > 0.05} == {"age", "yaw", "smile"}


def test_probes_of_w_give_a_row_per_factor(mapping: MappingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PROBE_TRAIN", 400), ("BOOSTED_TRAIN", 100)):
        monkeypatch.setattr(space, name, value)
    monkeypatch.setattr(probes, "TREES", 1)
    w = samples.draw_w(mapping, samples.W_SEED, 600)
    rows = space.probe_figures(w, space.truth_of(w), space.normals_of(w))
    linear = {row.subject: row.figure for row in rows if row.bar == "linear probe of w, R2"}
    assert {*FACTOR_NAMES, "normal of age", "mean of 35 attributes"} <= set(linear)
    assert sum(row.passes is not None for row in rows) == 2


# The population


def test_rank_correlations_are_scipys() -> None:
    from scipy.stats import spearmanr

    values = np.random.default_rng(8).integers(0, 4, (200, 3)).astype(float)
    assert np.allclose(population.rank_correlations(values), spearmanr(values).statistic)


def test_the_population_meets_its_bars_and_a_shuffled_one_does_not() -> None:
    values = population.drawn(population.DRAWS)
    assert exit_code(population.figures(values)) == 0
    rng = np.random.default_rng(9)
    shuffled = np.stack([rng.permutation(column) for column in values.T], axis=1)
    common = population.correlation_figures(shuffled)[0]
    assert common.passes is False and common.figure > 0.3
    assert exit_code(population.quantile_figures(shuffled)) == 0
    wrong = values.copy()
    wrong[:, attributes.INDEX["age"]] *= 0.8
    missed = [row.subject for row in population.quantile_figures(wrong) if not row.passes]
    assert missed == ["age"]


# The renderer


def test_changes_inside_and_outside() -> None:
    low, high = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    within = torch.zeros(1, 4, 4, dtype=torch.bool)
    within[:, :2] = True
    high[:, :, :2], high[:, :, 2:] = 1.0, 0.1
    inside, outside, local = drawn.changes(low, high, within)
    assert (inside, outside) == pytest.approx((0.5, 0.05))
    assert local == pytest.approx(0.25 / (0.25 + 0.0025))
    assert drawn.changes(low, low, within) == (0.0, 0.0, 0.0)


def test_a_blurred_face_has_wider_parts() -> None:
    faces = draw_factors(samples.FACTOR_SEED, range(4))
    masks = render(faces, 64, masks=True).masks
    assert masks is not None
    blur = FACTOR_NAMES.index("blur")
    sharp, soft = (drawn.inside(masks, drawn.driven(faces, blur, value), ("mouth",)) for value in (0.0, 1.0))
    assert sharp.sum() < soft.sum() < 0.2 * soft.numel()
    assert drawn.inside(masks, faces, PARTS).all()


class Brightness(torch.nn.Module):
    """Answers an image's mean for every attribute, and the negative of it for the first."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3))[:, None].repeat(1, 35)
        mean[:, 0] *= -1
        return mean


@pytest.mark.parametrize(("name", "steps"), [("sunglasses", 2), ("exposure", 9)])
def test_an_attribute_is_driven_alone(name: str, steps: int) -> None:
    index = attributes.INDEX[name]
    one = drawn.drive(index, 12, Brightness())  # type: ignore[arg-type]
    assert len(one.scores) == steps
    sign = -1 if name == "sunglasses" else 1
    assert drawn.monotone(one).figure == pytest.approx(sign)
    assert drawn.local(one).passes
    seen = drawn.visible(one)
    assert seen.passes is (None if FACTORS[index].parts == PARTS else True)


def test_a_curve_that_turns_back_is_not_monotone() -> None:
    def rank(*scores: float) -> Figure:
        return drawn.monotone(drawn.Drive(0, 0.1, 0.1, 0.0, 1.0, scores, 200))

    rising = tuple(range(9))
    assert rank(*rising).figure == pytest.approx(1)
    assert rank(0, 1, 2, 3, 4, 5, 6, 8, 7).passes
    assert not rank(0, 1, 2, 3, 4, 5, 6, 5.5, 4.5).passes
    assert not rank(*[0.5] * 9).passes


def test_rendering_repeats_itself() -> None:
    assert drawn.digest(8) == drawn.digest(8) != drawn.digest(9)


# Networks and generator


def test_quality_is_r2_or_the_area_under_the_curve() -> None:
    truth = np.random.default_rng(10).random((200, 35))
    values = quality(truth, truth)
    assert np.allclose(values, 1)
    gender = attributes.INDEX["gender"]
    assert quality(1 - truth, truth)[gender] == pytest.approx(0)
    truth[:, gender] = 0
    assert np.isnan(quality(truth, truth)[gender])


def test_the_files_are_weighed() -> None:
    (row,) = size_figures()
    assert row.limit == 60 and 0 < row.figure < 1000


def test_a_generator_has_a_speed() -> None:
    tiny = Generator(resolution=8, channels={4: 4, 8: 4}).eval().requires_grad_(False)
    assert images_per_second(tiny, rounds=1, seconds=0.01) > 0


def test_pixels_are_those_of_sets() -> None:
    tiny = Generator(resolution=8, channels={4: 4, 8: 4}).eval().requires_grad_(False)
    w = samples.draw_w(tiny.mapping, 1, 40)
    pixels = samples.pixels_of(tiny, w)
    expected = tiny.synthesis(tiny.mapping.broadcast(w)).clamp(-1, 1)
    assert pixels.dtype == np.uint8 and pixels.shape == (40, 3, 8, 8)
    seen = samples.judged(lambda images: images, pixels)
    assert (seen - expected).abs().max() < 1 / 127


def test_the_nearest_pair_and_pictures_of_one_person() -> None:
    points = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]]), dim=1)
    assert made.nearest(points) == pytest.approx(0)
    assert made.nearest(points[[0, 1, 3]]) == pytest.approx(1)
    assert made.same_identity(points, 2).tolist() == pytest.approx([1.0, 1.0])


def test_the_fid_limit_and_its_yardstick() -> None:
    assert made.fid_limit(2.0, 100.0) == pytest.approx(1.5 * 2 + 2)
    checker = torch.ones(1, 3, 8, 8)
    checker[..., ::2] = -1
    assert made.coarse(checker).abs().max() == 0
    assert torch.equal(made.coarse(torch.full((1, 3, 8, 8), 0.25)), torch.full((1, 3, 8, 8), 0.25))


def test_the_truth_has_every_factor(mapping: MappingNetwork) -> None:
    w = samples.draw_w(mapping, 3, 10)
    assert space.truth_of(w).shape == (10, N_FACTORS)
    assert space.normals_of(w).shape == (10, 35)
