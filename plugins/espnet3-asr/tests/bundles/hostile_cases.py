"""The corpus of hostile bundles: importing this fills :data:`hostile.CASES`."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from pathlib import Path

from espnet3_core.bundle.archive import write_archive
from hostile import (
    ZEROS,
    configured,
    described,
    edit,
    hostile,
    list_files,
    listed,
    member,
    pickled,
    tarred,
    tensors,
    zeros,
    zip_member,
    zipped,
)

FIRST = "ctc.head.out.weight"


@hostile(r"'model\.pt' is of a kind that bundles do not hold")
def pickle_beside(bundle: Path) -> None:
    (bundle / "model.pt").write_bytes(pickled())
    list_files(bundle)


@hostile("it is a pickle")
def pickle_as_tokenizer(bundle: Path) -> None:
    (bundle / "tokenizer/tokens.txt").write_bytes(pickled())
    list_files(bundle)


@hostile("the header of the weights is not whole")
def pickle_as_weights(bundle: Path) -> None:
    (bundle / "model.safetensors").write_bytes(pickled())
    list_files(bundle)


@hostile("is not in the manifest")
def unlisted_file(bundle: Path) -> None:
    (bundle / "tokenizer/extra.txt").write_text("x")


@hostile(r"tokenizer/tokens\.txt is missing")
def missing_file(bundle: Path) -> None:
    (bundle / "tokenizer/tokens.txt").unlink()


@hostile("has another SHA-256 than the manifest says")
def other_hash(bundle: Path) -> None:
    path = bundle / "tokenizer/tokens.txt"
    path.write_bytes(path.read_bytes().replace(b"e", b"f"))


@hostile("is a link or a device")
def link_to_folder(bundle: Path) -> None:
    (bundle / "tokenizer").rename(bundle.parent / "outside")
    (bundle / "tokenizer").symlink_to(bundle.parent / "outside")


@hostile("is a link or a device")
def link_with_the_right_content(bundle: Path) -> None:
    (bundle / "model.safetensors").rename(bundle.parent / "outside")
    (bundle / "model.safetensors").symlink_to(bundle.parent / "outside")


@hostile("it is a link")
def link_as_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").rename(bundle.parent / "outside")
    (bundle / "manifest.json").symlink_to(bundle.parent / "outside")


@hostile("is a link or a device")
def named_pipe(bundle: Path) -> None:
    os.mkfifo(bundle / "wait.txt")


@hostile("are one file on some systems")
def two_cases_of_one_name(bundle: Path) -> None:
    (bundle / "tokenizer/Tokens.txt").write_text("x")
    list_files(bundle)


@hostile("lies deeper than 4 folders")
def deep_folders(bundle: Path) -> None:
    (bundle / "a/b/c/d/e").mkdir(parents=True)


@hostile("more than 1000 files")
def many_files(bundle: Path) -> None:
    for number in range(1001):
        (bundle / f"{number}.txt").touch()


@hostile("it is JSON of more than 8388608 bytes")
def huge_manifest(bundle: Path) -> None:
    edit(bundle / "manifest.json", lambda manifest: manifest.update(title="x" * (9 << 20)))


@hostile("nested deeper than 32 levels")
def deep_json(bundle: Path) -> None:
    (bundle / "config.json").write_text('{"model":' + "[" * 100_000 + "]" * 100_000 + "}")
    list_files(bundle)


@hostile("the key 'system' stands twice")
def key_twice(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"title"', '"system": "a/b", "title"'))


@hostile("NaN is not a finite number")
def not_a_number(bundle: Path) -> None:
    path = bundle / "config.json"
    path.write_text(path.read_text().replace("1e-10", "NaN"))
    list_files(bundle)


@hostile("it is truncated")
def truncated_weights(bundle: Path) -> None:
    path = bundle / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    list_files(bundle)


@hostile("is not UTF-8 text")
def tokens_that_are_not_text(bundle: Path) -> None:
    (bundle / "tokenizer/tokens.txt").write_bytes(b"<blank>\n\xff\xfe\n")
    list_files(bundle)


@hostile("is not a SentencePiece model")
def garbage_for_sentencepiece(bundle: Path) -> None:
    (bundle / "tokenizer/sentencepiece.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>" + b"\xff" * 100)
    node = {"name": "asr/bpe", "vocab_size": 14}
    edit(bundle / "config.json", lambda config: config.update(tokenizer=node))
    list_files(bundle)


@hostile("neither a zip nor a tar")
def truncated_zip(bundle: Path) -> Path:
    target = bundle.parent / "bundle.zip"
    write_archive(bundle, target)
    target.write_bytes(target.read_bytes()[:-50])
    return target


@hostile("damaged or cut off")
def truncated_tar(bundle: Path) -> Path:
    target = bundle.parent / "bundle.tar.gz"
    write_archive(bundle, target)
    target.write_bytes(target.read_bytes()[:-200])
    return target


@hostile("damaged or cut off: Bad CRC-32")
def zip_that_lies_about_sizes(bundle: Path) -> Path:
    size = (bundle / "model.safetensors").stat().st_size
    edit(bundle / "manifest.json", lambda m: m["files"]["model.safetensors"].update(size=8))
    target = bundle.parent / "bundle.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(bundle).as_posix())
    target.write_bytes(target.read_bytes().replace(size.to_bytes(4, "little"), (8).to_bytes(4, "little")))
    return target


listed("tokenizer/lm.model", b"PK\x03\x04" + bytes(30), "it is an archive", "torch_archive")
listed("tokenizer/run.txt", b"#!/bin/sh\ntouch x\n", "it is a program", "script_as_text")
listed("tokenizer/x.tsv", b"\x1f\x8b\x08" + bytes(20), "it is compressed", "compressed_file")
TARGET = {"_target_": "os.system", "command": "touch $HOSTILE_CANARY"}
configured("target", "os.system is chosen by import path", lambda c: c.update(model=TARGET))
configured("nested_target", "chosen by import path", lambda c: c["model"].update(encoder=TARGET))
configured("partial", "_partial_ belongs to import paths", lambda c: c["search"].update(_partial_=True))
configured("interpolation", "is an interpolation", lambda c: c["model"].update(init="${oc.env:HOME}"))
configured(
    "absolute_path", "is a file or folder", lambda c: c["tokenizer"].update(user_symbols=["/etc/passwd"])
)
configured("home_path", "is a file or folder", lambda c: c["tokenizer"].update(user_symbols=["~/.ssh/id"]))
configured("parent_path", "is a file or folder", lambda c: c["tokenizer"].update(user_symbols=["a/../../b"]))
configured("address", "is a file or folder", lambda c: c["tokenizer"].update(user_symbols=["http://x/y"]))
configured("unknown_component", "there is no model 'asr/evil'", lambda c: c["model"].update(name="asr/evil"))
configured("unknown_plugin", "no plugin 'acme' is installed", lambda c: c["model"].update(name="acme/x"))
configured("unknown_option", "unknown key 'hook'", lambda c: c["model"].update(hook="os.system"))
configured("unknown_part", "unknown key 'startup'", lambda c: c.update(startup={"name": "asr/ctc"}))
configured(
    "wrong_kind", "is a tokenizer, and a model is needed", lambda c: c["model"].update(name="asr/char")
)
configured("wrong_type", "expected int", lambda c: c["model"]["encoder"].update(num_blocks="1"))
configured("endless_memory", "cannot be built", lambda c: c["model"]["encoder"].update(linear_units=1 << 50))
described("unknown_schema", "format 99 is not known here", lambda m: m.update(schema=99))
described("schema_as_text", "it has no `schema`", lambda m: m.update(schema="1"))
described("unknown_key", "'startup' is not a key", lambda m: m.update(startup="import os"))
described("wrong_manifest_type", "files is list", lambda m: m.update(files=[]))
described(
    "wrong_entry", "needs size and sha256", lambda m: m["files"].update({"config.json": {"size": True}})
)
described("unknown_field_kind", "no kind of field 'code'", lambda m: m["inputs"][0].update(kind="code"))
described(
    "missing_plugin",
    r"pip install 'espnet3-acme>=2,<3'",
    lambda m: m["plugins"].update({"espnet3-acme": ">=2,<3"}),
)
described("too_new_plugin", "and .* is installed", lambda m: m["plugins"].update({"espnet3-asr": ">=99"}))
described("plugin_as_command", "is not a distribution", lambda m: m["plugins"].update({"x; touch y": ">=1"}))
described(
    "sample_elsewhere", "no file of the manifest", lambda m: m["sample"]["inputs"].update(speech="../a.wav")
)
ENTRY = {"size": 1, "sha256": "0" * 64}
for label, path, why in [
    ("parent", "../outside.txt", "leads outside"),
    ("absolute", "/etc/passwd.txt", "is an absolute path"),
    ("drive", "C:/windows/x.txt", "is an absolute path"),
    ("backslash", "..\\outside.txt", "has a backslash"),
    ("nul", "a.txt\x00.safetensors", "control character"),
    ("dots", "tokenizer/./a.txt", "not a plain relative path"),
    ("trailing_space", "tokenizer /a.txt", "not a plain relative path"),
]:
    described(f"listed_{label}", why, lambda m, path=path: m["files"].update({path: ENTRY}))
    zipped(f"zip_{label}", why, lambda z, path=path: z.writestr(zip_member(path), b"x"))
tensors("unknown_dtype", "the type 'F99' is not known", lambda h: h[FIRST].update(dtype="F99"))
tensors(
    "other_kind_of_number", "is I32, and the model's is torch.float32", lambda h: h[FIRST].update(dtype="I32")
)
tensors("other_size_of_number", "does not have", lambda h: h[FIRST].update(dtype="F64"))
tensors("other_shape", "of another shape", lambda h: h[FIRST].update(shape=h[FIRST]["shape"][::-1]))
tensors("negative_shape", "not lists of whole numbers", lambda h: h[FIRST].update(shape=[-1, -4]))
tensors("other_names", "another model", lambda h: h.update(evil=h.pop(FIRST)))
tensors("overlap", "overlaps another", lambda h: h.update(evil=h[FIRST]))
tensors("bytes_after_the_end", "bytes follow the last tensor", lambda h: None, tail=bytes(8))
BEYOND = {"dtype": "U8", "shape": [4], "data_offsets": [1 << 40, (1 << 40) + 4]}
tensors("offsets_beyond", "has a hole before it", lambda h: h.update(evil=BEYOND))
zipped("zip_bomb", "it unpacks to more than", lambda z: z.writestr("a.txt", ZEROS, zipfile.ZIP_DEFLATED))
zipped(
    "zip_link",
    "is a link or a device",
    lambda z: z.writestr(zip_member("a.txt", stat.S_IFLNK | 0o777), "/etc"),
)
zipped("zip_twice", "stands in it twice", lambda z: z.writestr(zip_member("config.json"), "{}"))
zipped("zip_cases", "are one file", lambda z: z.writestr("Config.json", "{}"))
zipped("zip_in_zip", "of a kind that bundles do not hold", lambda z: z.writestr("inner.zip", b"PK"))
zipped("zip_lzma", "compressed in an unknown way", lambda z: z.writestr("a.txt", b"x", zipfile.ZIP_LZMA))
zipped("zip_unlisted", "is not in the manifest", lambda z: z.writestr("a.txt", b"x"))
zipped("zip_many", "more than 1000 files", lambda z: [z.writestr(f"{n}.txt", b"") for n in range(1001)])
tarred("tar_link", "is a link or a device", lambda t: t.addfile(member("a.txt", tarfile.SYMTYPE, "/etc")))
tarred(
    "tar_hard_link", "is a link or a device", lambda t: t.addfile(member("a.txt", tarfile.LNKTYPE, "/etc/x"))
)
tarred("tar_device", "is a link or a device", lambda t: t.addfile(member("a.txt", tarfile.CHRTYPE)))
tarred("tar_pipe", "is a link or a device", lambda t: t.addfile(member("a.txt", tarfile.FIFOTYPE)))
tarred("tar_parent", "leads outside", lambda t: t.addfile(member("../a.txt")))
tarred("tar_absolute", "is an absolute path", lambda t: t.addfile(member("/tmp/a.txt")))
tarred("tar_twice", "stands in it twice", lambda t: t.addfile(member("config.json")))
tarred(
    "tar_bomb",
    "it unpacks to more than",
    lambda t: t.addfile(member("a.txt", size=len(ZEROS)), zeros()),
    "w:gz",
)
tarred("tar_huge_header", "a header of", lambda t: t.addfile(member("a", b"x", size=1 << 28), None), "w:gz")
