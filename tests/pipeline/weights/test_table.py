"""The table that is shipped, and what a table may not say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.weights.table import FILE_NAME, find, read_table

GOOD = """
[net]
file = "net.pt"
url = "https://publisher.example/net.pt"
licence = "MIT"
domain = "toy"
role = "generator"
used_by = "tests"
"""


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.toml"
    path.write_text(text)
    return path


def test_what_is_shipped() -> None:
    known = read_table()
    assert set(known) == {
        "ffhq-1024", "ffhq-512", "ffhq-256", "inception", "alexnet", "vggface2", "casia-webface"
    }  # fmt: skip
    for weight in known.values():
        assert weight.url.startswith("https://") and weight.url.endswith(f"/{weight.file}"), "the published name"
        assert FILE_NAME.fullmatch(weight.file) and weight.licence and weight.used_by
        assert bool(weight.evidence) == bool(weight.size or weight.size_about or weight.sha256 or weight.sha256_start)
    roles = [weight.role for weight in known.values()]
    assert sorted(set(roles)) == ["generator", "lpips", "perception", "recognizer_a", "recognizer_b"]


def test_it_agrees_with_the_libraries_that_publish_the_files() -> None:
    """Names and URLs stand in the packages' own code, which is read as text: importing it would load torch."""
    known = read_table()
    for package, part, name in (
        ("cleanfid", "downloads_helper.py", "inception"),
        ("torchvision", "models/alexnet.py", "alexnet"),
        ("facenet_pytorch", "models/inception_resnet_v1.py", "vggface2"),
        ("facenet_pytorch", "models/inception_resnet_v1.py", "casia-webface"),
    ):
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations
        text = (Path(next(iter(spec.submodule_search_locations))) / part).read_text()
        assert known[name].url in text
        if name == "alexnet":
            assert f'"_file_size": {round(known[name].size_about / 2**20, 3)}' in text
            assert known[name].file.partition(".")[0].endswith(f"-{known[name].sha256_start}")


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'inception'"):
        find(["incepton"], read_table())
    names = [weight.name for weight in find(["inception", "ffhq-256", "inception"], read_table())]
    assert names == ["ffhq-256", "inception"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('file = "net.pt"', 'file = "../net.pt"', "bare file name"),
        ('file = "net.pt"', 'file = "/etc/passwd"', "bare file name"),
        ('file = "net.pt"', 'file = ".net.pt"', "bare file name"),
        ('file = "net.pt"', "", "file: expected a text"),
        ("https://", "http://", "starts with https://"),
        ('licence = "MIT"', "licence = 3", "licence: expected a text"),
        ('used_by = "tests"', 'used_by = "tests"\nsize = "12"', "size: expected a whole number"),
        ('used_by = "tests"', 'used_by = "tests"\nsize = -1', "size: expected a whole number"),
        ('used_by = "tests"', 'used_by = "tests"\nsha256 = "abc"', "64 hexadecimal"),
        ('used_by = "tests"', 'used_by = "tests"\nsha256_start = "xyz"', "hexadecimal digits"),
        ('used_by = "tests"', 'used_by = "tests"\n' + GOOD.replace("[net]", "[other]"), "net.pt; expected one each"),
        ("[net]", "[net", "Cannot read the table"),
    ],
)
def test_what_a_table_may_not_say(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert list(read_table(table(tmp_path, GOOD))) == ["net"]
    read_table.cache_clear()
    with pytest.raises(ConfigError, match=message):
        read_table(table(tmp_path, GOOD.replace(old, new, 1)))


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'sha256'"):
        read_table(table(tmp_path, GOOD + 'sha265 = "ab"\n'))
