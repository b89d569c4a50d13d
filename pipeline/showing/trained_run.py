"""A published run at work again: its trained methods, its faces and its domain, from the stages its manifest names.

Nothing here depends on the settings file of today: a run says itself which stages it was made of, with which settings
of each method. Those stages are found by their fingerprints, and every file is checked before it is read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.attributes import EVALUATED
from pipeline.domains import base
from pipeline.errors import ConfigError, StageError, UnknownNameError
from pipeline.methods import registry
from pipeline.methods.interface import Faces, Method
from pipeline.report.archive import check_report
from pipeline.report.contents import RunRecord, record_of
from pipeline.settings.experiment import FULL
from pipeline.storage.manifests import load_manifest
from pipeline.storage.stages import STAGES, check_shard
from pipeline.tables.parquet import read_table, values_of, vectors
from pipeline.tables.schemas import LABELS, LATENTS, PUBLISHED, VALUE_COLUMNS
from stylegan.sampling import draw_z

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_b", "detector")  # what edits and judges them here


@dataclass(frozen=True)
class TrainedRun:
    """A published run, and what its stages still hold of it.

    `device`: where to compute, "cpu" or "cuda".
    """

    folder: Path
    device: str = "cpu"

    @property
    def outputs(self) -> Path:
        """The folder with stages/ and reports/."""
        return self.folder.parents[1]

    @cached_property
    def record(self) -> RunRecord:
        """Settings, weights and stages of the run."""
        return record_of(self.table("runs"))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of its methods."""
        return tuple(self.record.settings["methods"])

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the evaluated attributes that it edited."""
        return tuple(self.record.experiment["attributes"])

    def check_method(self, name: str) -> None:
        """Raise UnknownNameError for a method that the run does not have."""
        if name not in self.methods:
            raise UnknownNameError(f"method in run {self.record.run_id}", name, self.methods)

    def attribute(self, name: str) -> str:
        """The evaluated attribute of that name, also by its scorer's name: "smile" is "expression".

        Raises UnknownNameError for an attribute that the run did not edit.
        """
        if name in self.attributes:
            return name
        for known in self.attributes:
            if EVALUATED[known] == name:
                return known
        raise UnknownNameError(f"attribute in run {self.record.run_id}", name, self.attributes)

    def face_id(self, face: int) -> int:
        """The id of a face, counted from 0. Raises ConfigError for a face beyond the run's."""
        if not 0 <= face < self.record.n_faces:
            raise ConfigError(
                f"--face {face}: expected 0 to {self.record.n_faces - 1}, the faces of run {self.record.run_id}."
            )
        return int(self.record.experiment["first_face_id"]) + face

    def table(self, name: str, columns: Collection[str] | None = None) -> pa.Table:
        """A published table, or some of its columns. Raises CorruptShardError if its file is damaged."""
        file = f"{name}.parquet"
        check_report(self.folder, only=[file])
        return read_table(self.folder / file, PUBLISHED[name], None if columns is None else list(columns))

    def stage_files(self, kind: str, label: str, names: Collection[str] | None = None) -> list[Path]:
        """The checked files of a stage of the run, or some `names` among them. Raises StageError if it is gone."""
        folder = self.stage_folder(kind, label)
        manifest = load_manifest(folder) if folder else None
        if folder is None or manifest is None:
            raise StageError(
                f"Stage {kind} {label} of run {self.record.run_id} is not under {self.outputs / STAGES} any more. "
                "Compute it again (latentbench run), or name another run with --run."
            )
        records = [record for record in manifest.shards if names is None or record.name in names]
        for record in records:
            check_shard(folder / record.name, record)
        return [folder / record.name for record in records]

    def stage_folder(self, kind: str, label: str) -> Path | None:
        """Where a stage of the run lies; None if it was removed."""
        title = f"{kind} {label}"
        for line in self.record.stages:
            if line.get("title") == title:
                fingerprint = str(line["fingerprint"])
                for folder in sorted((self.outputs / STAGES / kind).glob(f"*{fingerprint[:16]}")):
                    manifest = load_manifest(folder)
                    if manifest is not None and manifest.fingerprint == fingerprint:
                        return folder
        return None

    def domain(self) -> Domain:
        """The run's generator and judges. Raises as `base.load`, and ConfigError where a network is another one now."""
        name = self.record.domain
        card = base.describe(name)
        for role in ROLES:
            if card.weights.get(role) != self.record.weights.get(role):
                raise ConfigError(
                    f"Run {self.record.run_id} was computed with another {role} than domain {name} has here: expected "
                    f"sha256 {str(self.record.weights.get(role))[:16]}, found {str(card.weights.get(role))[:16]}. "
                    f"Run again: latentbench run --domain {name}"
                )
        return base.load(name, self.device, self.record.experiment.get("precision", FULL))

    def method(self, name: str) -> Method:
        """A trained method on the run's device. Raises UnknownNameError, and StageError if its training is gone."""
        import torch

        self.check_method(name)
        folder = self.stage_files("train", name)[0].parent
        trained = registry.load(name, folder, self.record.settings["methods"][name])
        trained.to(torch.device(self.device))
        return trained

    def face(self, face: int) -> Faces:
        """One of the run's faces, with all that a method may know of it. Raises ConfigError, StageError."""
        import torch

        face_id = self.face_id(face)
        w = self._row(read_table(self.stage_files("latents", "faces"), LATENTS), face_id)
        labels = read_table(self.stage_files("labels", "faces"), LABELS, ["latent_id", *VALUE_COLUMNS])
        values = torch.from_numpy(values_of(self._row(labels, face_id)))
        experiment = self.record.experiment
        z = None
        if not experiment.get("faces_sha256"):
            z = torch.from_numpy(draw_z(int(experiment["seed"]), np.array([face_id])))
        return self._faces(torch.from_numpy(vectors(w, "w").copy()), values, z)

    def sampled_face(self, seed: int) -> Faces:
        """A face drawn at random: the seed alone says which, in every run of the domain."""
        import torch

        from pipeline.chain.views import synthesise

        domain = self.domain()
        psi = float(self.record.experiment["truncation_psi"])
        z = torch.from_numpy(draw_z(seed, np.array([0]))).to(domain.device)
        with torch.inference_mode():
            w = torch.lerp(domain.generator.mapping.w_avg.to(z), domain.generator.map_to_w(z), psi)
            values = domain.scorer_a(synthesise(domain, domain.generator.mapping.broadcast(w)))
        return self._faces(w, values, z)

    def _faces(self, w: Any, values: Any, z: Any) -> Faces:
        domain = self.domain()
        mapping = domain.generator.mapping
        return Faces(
            ws=mapping.broadcast(w.to(domain.device)),
            values=values.to(domain.device),
            z=None if z is None else z.to(domain.device),
            mapping=mapping,
            truncation_psi=float(self.record.experiment["truncation_psi"]),
        )

    def _row(self, table: pa.Table, face_id: int) -> pa.Table:
        return table.filter(pc.equal(table.column("latent_id"), face_id))
