"""`latentbench weights import`."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from stylegan.generator import Generator
from stylegan.weights import load_card, load_generator
from tasks.cli import app
from tests.builders.checkpoint_files import make_generator, nvidia, rosinality


@pytest.fixture(scope="module")
def generator() -> Generator:
    return make_generator(conv_clamp=256.0)


@pytest.fixture
def source(generator: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "ffhq.pkl"
    path.write_bytes(nvidia(generator))
    return path


def weights_import(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["weights", "import", *map(str, arguments)])


def test_facts_of_the_file_are_printed_and_written(source: Path, generator: Generator, tmp_path: Path) -> None:
    result = weights_import(source, "--to", tmp_path / "new" / "faces.safetensors", "--license-note", "mine")
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "new" / "faces.safetensors"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = result.stdout.splitlines()
    assert lines[0].startswith("read: ffhq.pkl, NVIDIA pickle of torch modules")
    assert lines[1:] == [
        "generator: 16 px, z 6, w 6, 3 mapping layers, activations within 256",
        "channels by resolution: 4: 5, 8: 4, 16: 3",
        "licence: mine",
        f"sha256: {sha256}",
        f"written: {path} and its card",
    ]
    z = torch.randn(2, 6)
    assert torch.equal(load_generator(path, sha256)(z), generator(z))
    assert sorted(file.name for file in path.parent.iterdir()) == ["faces.json", "faces.safetensors"]
    card = load_card(path)
    assert card["sha256"] == sha256 and card["license"] == "mine" and card["name"] == "ffhq"
    assert card["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert card["source"]["size_bytes"] == source.stat().st_size


def test_a_name_and_json(source: Path, tmp_path: Path) -> None:
    result = weights_import(source, "--name", "ffhq-1024", "--json")
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert (
        shown["path"] == str(tmp_path / "ffhq-1024.safetensors") and shown["name"] == "ffhq-1024" and shown["written"]
    )
    assert shown["architecture"] == load_card(tmp_path / "ffhq-1024.safetensors")["architecture"]
    assert "non-commercial" in shown["license"]


def test_other_weights_are_only_replaced_when_asked(source: Path, generator: Generator, tmp_path: Path) -> None:
    target = tmp_path / "ffhq.safetensors"
    assert weights_import(source).exit_code == 0
    first = target.read_bytes()
    again = weights_import(source)
    assert again.exit_code == 0 and f"already there: {target}" in again.stdout
    other = tmp_path / "other" / "ffhq.pt"
    other.parent.mkdir()
    other.write_bytes(rosinality(generator))
    refused = weights_import(other, "--to", target)
    assert refused.exit_code == 2 and "--force" in refused.stderr
    assert target.read_bytes() == first
    assert weights_import(other, "--to", target, "--force").exit_code == 0
    assert target.read_bytes() != first
    assert load_card(target)["source"]["file"] == "ffhq.pt"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_faults_are_reported_and_nothing_is_written(source: Path, tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("touch executed",)

    hostile = tmp_path / "hostile.pkl"
    hostile.write_bytes(pickle.dumps(Call(), 3))
    link = tmp_path / "link.safetensors"
    link.symlink_to("elsewhere.safetensors")
    before = sorted(tmp_path.iterdir())
    for arguments, shown in [
        ((hostile,), "it names 'posix.system'"),
        ((tmp_path / "missing.pkl",), "missing.pkl' is not imported: it cannot be read (No such file"),
        ((source, "--sha256", "0" * 64), f"expected {'0' * 64}"),
        ((source, "--to", tmp_path / "faces.pt"), "Weights are written as .safetensors"),
        ((source, "--to", link), "is a symbolic link: weights are not written through links"),
        ((source, "--name", "../faces"), "--name ../faces cannot name a file"),
        ((source, "--name", "a\nb"), "--name a?b cannot name a file"),
        ((source, "--name", "x" * 300), "cannot name a file: expected a word such as ffhq-1024, of at most 100"),
        ((source, "--to", tmp_path / ("x" * 300)), "cannot be written: File name too long"),
        ((source, "--license-note", "caf\udce9"), "--license-note: expected a text in UTF-8"),
        ((tmp_path / "no\udce9.pkl",), "no\\udce9.pkl' is not imported: it cannot be read"),
        ((tmp_path,), "is not imported: it cannot be read (Is a directory)"),
        ((source, "--to", source / "faces.safetensors"), "cannot be written"),
    ]:
        result = weights_import(*arguments)
        assert result.exit_code == 2 and shown in result.stderr, result.stderr
        assert "Traceback" not in result.stderr and sorted(tmp_path.iterdir()) == before


def test_what_is_no_checkpoint_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    """In a process of its own: a page in place of the file, a missing file, a folder."""
    (tmp_path / "page.pkl").write_text("<html>not found</html>")
    code = """
import sys
from typer.testing import CliRunner
from tasks.cli import app
for name in sys.argv[1:]:
    print(CliRunner().invoke(app, ["weights", "import", name]).exit_code, "torch" in sys.modules)
"""
    names = [str(tmp_path / "page.pkl"), str(tmp_path / "none.pkl"), str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"] * 3


def test_a_folder_that_is_not_there_is_made(source: Path, tmp_path: Path) -> None:
    """As `invert` and `weights stand-in` make theirs; a dot in its name makes no file of it."""
    for place in ("weights", "new/weights-1.0"):
        result = weights_import(source, "--to", tmp_path / place, "--name", "ffhq-1024")
        assert result.exit_code == 0, result.stderr
        assert sorted(file.name for file in (tmp_path / place).iterdir()) == [
            "ffhq-1024.json",
            "ffhq-1024.safetensors",
        ]


def test_names_of_bytes_that_are_no_text(source: Path, tmp_path: Path) -> None:
    odd = source.rename(tmp_path / "caf\udce9.pkl")
    assert "cannot name a file" in weights_import(odd).stderr
    result = weights_import(odd, "--name", "ffhq")
    assert result.exit_code == 0, result.stderr
    assert load_card(tmp_path / "ffhq.safetensors")["source"]["file"] == "caf\\udce9.pkl"
    result = weights_import(odd, "--name", "ffhq", "--to", tmp_path / "fold\udce9r", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["path"].endswith("fold\udce9r/ffhq.safetensors")


def test_a_generator_that_no_domain_can_use_is_reported(source: Path, tmp_path: Path) -> None:
    result = weights_import(source)
    assert "domain ffhq expects z and w of 512 numbers, and these have 6 and 6" in " ".join(result.stderr.split())
    torch.manual_seed(0)
    wide = Generator(resolution=4, channels={4: 2}, mapping_layers=1)
    source.write_bytes(nvidia(wide))
    result = weights_import(source, "--name", "wide")
    assert result.exit_code == 0 and "No domain" not in result.stderr


def test_a_file_is_not_imported_over_itself(source: Path, tmp_path: Path) -> None:
    assert weights_import(source).exit_code == 0
    result = weights_import(tmp_path / "ffhq.safetensors")
    assert result.exit_code == 2 and "is the file to import" in result.stderr
