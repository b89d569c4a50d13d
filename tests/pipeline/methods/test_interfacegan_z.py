"""In Z, the edit of a code is the code of the edited z, truncated as the code was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.attributes import NAMES, index_of
from pipeline.errors import StageError
from pipeline.methods import contract
from pipeline.methods.interface import Faces, Method
from pipeline.methods.interfacegan_z import InterFaceGANZ, scaled
from pipeline.methods.subject import Subject, strengths
from stylegan.generator import Generator
from tests.worlds import toy


def method_of(directions: torch.Tensor) -> InterFaceGANZ:
    method = InterFaceGANZ()
    method.restore({"directions": directions}, {})
    return method


def unit_rows(seed: int) -> torch.Tensor:
    drawn = torch.randn(len(NAMES), 512, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


@pytest.fixture(scope="module")
def generator() -> Generator:
    """A real mapping network, whose average w is far from zero."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = Generator(resolution=8, channels={4: 8, 8: 8}, mapping_layers=2).eval().requires_grad_(False)
        found.mapping.w_avg.normal_()
    return found


def faces_of(generator: Generator, psi: float) -> Faces:
    z = torch.randn(5, 512, generator=torch.Generator().manual_seed(8))
    ws = generator.mapping(z, truncation_psi=psi)
    return Faces(ws, torch.zeros(5, len(NAMES)), z, generator.mapping, psi)


@pytest.mark.parametrize("psi", [1.0, 0.6])
def test_an_edit_is_the_code_of_the_edited_z(generator: Generator, psi: float) -> None:
    """The authors': scale z, step along the normal, map, truncate, broadcast."""
    faces, directions = faces_of(generator, psi), unit_rows(1)
    strengths = torch.zeros(5, len(NAMES))
    strengths[:, index_of("age")] = torch.linspace(-3, 3, 5)
    found = method_of(directions).edit_faces(faces, strengths)
    assert faces.z is not None
    for row in range(5):
        z = faces.z[row] / faces.z[row].norm() * math.sqrt(512) + strengths[row].sum() * directions[index_of("age")]
        expected = generator.mapping(z[None], truncation_psi=psi)[0]
        assert torch.allclose(found[row], expected, atol=1e-5)
        assert row == 2 or not torch.allclose(found[row], faces.ws[row], atol=1e-3)


def test_a_face_that_is_not_edited_keeps_its_code_beside_one_that_is(generator: Generator) -> None:
    faces, strengths = faces_of(generator, 0.7), torch.zeros(5, len(NAMES))
    strengths[3, 0] = 2.0
    edited = method_of(unit_rows(1)).edit_faces(faces, strengths)
    still = [0, 1, 2, 4]
    assert torch.equal(edited[still], faces.ws[still]) and not torch.equal(edited[3], faces.ws[3])


def test_edits_in_a_row_are_one_edit_of_their_sum(generator: Generator) -> None:
    """z is scaled before the first edit and never again: the authors' `preprocess`, then z + s n, then z' + s n."""
    faces, method = faces_of(generator, 0.7), method_of(unit_rows(1))
    age, yaw = (strengths(faces, **change) for change in ({"age": 12.0}, {"yaw": -9.0, "age": 3.0}))
    once = method.edited(faces, age)
    twice = method.edited(once[torch.tensor([3, 1])], yaw[:2])
    expected = method.edited(faces, age + yaw)[torch.tensor([3, 1])]
    assert torch.allclose(twice.ws, expected.ws, atol=1e-5)
    assert twice.z is not None and expected.z is not None and torch.allclose(twice.z, expected.z, atol=1e-5)
    assert torch.allclose(twice.ws, generator.mapping(twice.z, truncation_psi=0.7), atol=1e-5), "z is of the code"
    assert not torch.allclose(once.ws, faces.ws, atol=1e-2)
    back = method.edited(method.edited(method.edited(faces, age), yaw), -age - yaw)
    assert torch.allclose(back.ws, faces.ws, atol=1e-5)


def subject_of(method: Method, faces: Faces) -> Subject:
    subject = Subject("interfacegan_z", lambda: toy.fit_data(64), faces, 20.0)
    vars(subject)["fitted"] = method
    return subject


def test_the_contract_tells_a_method_that_forgets_z(generator: Generator) -> None:
    class Forgetful(InterFaceGANZ):
        """Starts every edit from the z of the unedited face."""

        def after(self, faces: Faces, strengths: torch.Tensor, ws: torch.Tensor) -> Faces:
            return Faces(ws, faces.values, faces.z, faces.mapping, faces.truncation_psi)

    faces, forgetful = faces_of(generator, 1.0), Forgetful()
    forgetful.restore({"directions": unit_rows(1)}, {})
    for check in (contract.an_edit_answers_faces, contract.zero_keeps_what_an_edit_carries, contract.edits_undo):
        check(subject_of(method_of(unit_rows(1)), faces))
    with pytest.raises(contract.BrokenContract, match="undoing left"):
        contract.edits_undo(subject_of(forgetful, faces))
    Forgetful.carries = ()
    with pytest.raises(contract.BrokenContract, match="of the unedited faces stayed"):
        contract.an_edit_answers_faces(subject_of(forgetful, faces))


def test_faces_that_another_edit_moved_are_refused(generator: Generator) -> None:
    faces, method = faces_of(generator, 1.0), method_of(unit_rows(1))
    moved = faces.moved(torch.cat([faces.ws[:1] + 1, faces.ws[1:]]))
    assert torch.isfinite(method.edited(moved[1:], strengths(moved[1:], age=1.0)).ws).all()
    with pytest.raises(StageError, match="another edit moved them"):
        method.edited(moved, strengths(moved, age=1.0))


def test_far_steps_end_at_the_code_of_the_normal(generator: Generator) -> None:
    faces, directions = faces_of(generator, 1.0), unit_rows(2)
    strengths = torch.zeros(5, len(NAMES))
    strengths[:, 0] = 1e6
    edited = method_of(directions).edit_faces(faces, strengths)
    assert torch.allclose(edited, generator.mapping(directions[:1]).expand(5, -1, -1), atol=1e-3)


def test_the_known_directions_are_found_in_z(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's mapping takes the first 64 coordinates of z: directions in Z are its directions in that basis."""
    monkeypatch.setattr("pipeline.methods.interfacegan.BATCH", 700)  # of each attribute 700 codes train
    method, learned = InterFaceGANZ(chosen=0.2), NAMES[:2]
    data = toy.fit_data(2500, attributes=learned, evaluated=learned)
    drawn: list[int] = []
    draw = data.draw_z
    assert draw is not None
    data.draw_z = lambda places: (drawn.append(len(places)), draw(places))[1]
    method.fit(data)
    assert max(drawn) == 700 and sum(drawn) == 1 + 2 * 700 + 2500, "a batch at a time; once to train, once to test"
    truth = (toy.DIRECTIONS @ toy.BASIS.T)[:2]
    cosines = torch.nn.functional.cosine_similarity(method.directions_[:, : toy.USED], truth)
    assert float(cosines.min()) > 0.8 and torch.allclose(method.directions_.norm(dim=1), torch.ones(2))
    faces = toy.faces(20)
    for column in range(2):
        strengths = torch.zeros(20, 2)
        strengths[:, column] = 3.0
        scores = toy.load().scorer_a(toy.load().generator.synthesis(method.edit_faces(faces, strengths)))
        assert bool((scores > faces.values)[:, column].all())


def test_z_has_the_length_of_the_authors() -> None:
    z = np.random.default_rng(0).standard_normal((4, 512)).astype(np.float32)
    found = scaled(z)
    assert np.allclose((found**2).mean(axis=1), 1, atol=1e-5) and found.dtype == np.float32
    assert np.allclose(found / found[:, :1], z / z[:, :1], rtol=1e-4)


def test_codes_without_z_are_refused(generator: Generator) -> None:
    faces, strengths = faces_of(generator, 1.0), torch.zeros(5, len(NAMES))
    method = method_of(unit_rows(1))
    with pytest.raises(StageError, match="edit_faces"):
        method.edit(faces.ws, strengths, faces.values)
    with pytest.raises(StageError, match="not known"):
        method.edit_faces(Faces(faces.ws, faces.values), strengths)
    with pytest.raises(StageError, match="space Z"):
        InterFaceGANZ().fit(toy.fit_data(64, draw_z=None))
