"""What the contract is tried on outside the tests: a method of a run, fitted on a few latents of its domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.methods.interface import Faces, FitData
from pipeline.methods.subject import FACES, Subject

if TYPE_CHECKING:
    import numpy as np

    from pipeline.domains.base import Domain
    from pipeline.settings.settings import Settings


def sample(settings: Settings, domain: Domain, name: str, count: int) -> Subject:
    """A method of this run, to be fitted on `count` of its domain's latents, labelled here and stored nowhere."""
    import numpy as np
    import torch

    from pipeline.chain.labels import label_images
    from pipeline.chain.latents import naming_w
    from pipeline.chain.sets import id_range, z_of

    experiment = settings.experiment

    def codes(which: str, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z = z_of(settings, which, places)
        with torch.no_grad():
            mapped = domain.generator.map_to_w(torch.from_numpy(z).to(domain.device))
            w = torch.lerp(domain.generator.mapping.w_avg.to(mapped), mapped, experiment.truncation_psi).cpu().numpy()
        parts = [
            label_images(domain, w[start : start + 64], experiment.detection_threshold)[0]
            for start in range(0, len(w), 64)
        ]
        return z, w, np.concatenate(parts)

    _, w, values = codes("train", np.arange(count))
    z, face_w, face_values = codes("faces", np.arange(min(FACES, id_range(settings, "faces")[1])))
    named = torch.from_numpy(naming_w(settings))
    faces = Faces(
        ws=domain.generator.mapping.broadcast(torch.from_numpy(face_w).to(domain.device)),
        values=torch.from_numpy(face_values).to(domain.device),
        z=torch.from_numpy(z).to(domain.device),
        mapping=domain.generator.mapping,
        truncation_psi=experiment.truncation_psi,
    )

    def data() -> FitData:
        return FitData(
            w=torch.from_numpy(w),
            values=torch.from_numpy(values),
            generator=domain.generator,
            scorer_a=domain.scorer_a,
            recognizer_a=domain.recognizer_a,
            seed=experiment.seed,
            device=domain.device,
            truncation_psi=experiment.truncation_psi,
            draw_z=lambda places: z_of(settings, "train", places),
            naming_w=named,
            mean_distance=domain.mean_distance,
        )

    return Subject(name, data, faces, domain.mean_distance, settings.method_parameters(name))
