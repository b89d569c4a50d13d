"""Checks the manifests of this folder against published schemas, without a cluster and without a network.

    pip install kubernetes-validate dask-kubernetes
    python deploy/kubernetes/check.py

Kubernetes' own kinds are checked by kubernetes-validate, DaskCluster by the CRD that dask-kubernetes brings.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
CRD = "operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"


def strict(schema: Any) -> Any:
    """The same schema, by which an object with declared properties may have no others."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: strict(part) for key, part in schema.items()}
    if "properties" in changed and not changed.get("x-kubernetes-preserve-unknown-fields"):
        changed.setdefault("additionalProperties", False)
    return changed


def faults(document: dict[str, Any], crd: dict[str, Any]) -> list[str]:
    """What is wrong with one manifest."""
    if document["kind"] != crd["spec"]["names"]["kind"]:
        try:
            kubernetes_validate.validate(document, "1.29", strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            return [str(error)]
        return []
    version = document["apiVersion"].partition("/")[2]
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version]
    schema = strict(schema)
    schema["properties"] |= {"metadata": {"type": "object"}, "apiVersion": {}, "kind": {}}
    found = jsonschema.Draft7Validator(schema).iter_errors(document)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def main() -> int:
    """Check every manifest; answers 1 if one is wrong."""
    crd = yaml.safe_load((files("dask_kubernetes") / CRD).read_text())
    wrong = 0
    for path in sorted(HERE.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            found = faults(document, crd)
            wrong += bool(found)
            print(f"{path.name}: {document['kind']} {document['metadata']['name']}: {'; '.join(found) or 'valid'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
