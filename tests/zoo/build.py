"""Build the zoo: tiny Windows DLLs, each with one thing that a loader trips over (or a near miss).

    python build.py TARGET_DIR

recipes/*.toml say what each animal is made of; README.md explains their keys. TARGET_DIR gets a folder for each, and
zoo.json: the recipes with every default filled in. Nothing is built when nothing has changed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import patch
import tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
RECIPES = sorted((HERE / "recipes").glob("*.toml"))
INDEX = "zoo.json"

# Our word for an architecture -> zig's target, dlltool's and the linker's words, and the prefix of a C symbol.
ARCHITECTURES = {
    "x64": ("x86_64-windows-gnu", "i386:x86-64", "x64", ""),
    "x86": ("x86-windows-gnu", "i386", "x86", "_"),
    "arm64": ("aarch64-windows-gnu", "arm64", "arm64", ""),
}
ANIMAL_DEFAULTS: dict[str, Any] = {
    "situation": [],
    "arch": "x64",
    "python": "3.11",
    "app_dir": "",
    "dll_dirs": [],
    "path": [],
    "variables": {},
    "loaded_first": [],
    "runtimes": [],
    "cpu": "",
    "processor": {},
    "changes": False,
    "cases": [],
    "near_miss": "",
    "distribution": {},
}
FILE_DEFAULTS: dict[str, Any] = {
    "source": "module.c",
    "defines": [],
    "exports": [],
    "imports": [],
    "delay": [],
    "link": [],
    "version": "",
    "patches": [],
}
DISTRIBUTION_DEFAULTS: dict[str, Any] = {
    "version": "1.0",
    "site": "site-packages",
    "tags": ["cp311-cp311-win_amd64"],
    "installer": "pip",
    "absent": [],
    "changed": [],
    "extra": [],
}
EXPECTATION_DEFAULTS: dict[str, Any] = {"finding": "", "module": "", "needed_by": ""}

T = TypeVar("T")


def animals() -> list[dict[str, Any]]:
    """Return the recipes with every default filled in."""
    result: list[dict[str, Any]] = []
    for told in (row for recipe in RECIPES for row in tomllib.loads(recipe.read_text(encoding="utf-8"))["animal"]):
        animal = ANIMAL_DEFAULTS | told
        for system in (key for key in animal if key.startswith("windows")):
            animal[system] = EXPECTATION_DEFAULTS | animal[system]
        animal["wine"] = {"why": ""} | animal["wine"]
        files = (FILE_DEFAULTS | {"arch": animal["arch"]} | file for file in told["files"])
        animal["files"] = [{**file, "exports": exports(file)} for file in files]
        result.append(animal)
    return result


def exports(file: dict[str, Any]) -> list[str]:
    """Return what a file exports, as lines of a .def file: every plain name is the C function `answer`."""
    lines = []
    if file["out"].endswith(".pyd"):
        lines.append(f"PyInit_{Path(file['out']).name.split('.')[0]} = answer")
    for told in file["exports"]:
        name, *rest = told.split(maxsplit=1)
        lines.append(told if "=" in told else " ".join([name, "= answer", *rest]))
    return lines


def imported(spec: str) -> tuple[str, list[str]]:
    """Split "dep.dll: f #77"; the colon stands apart from the name, which may hold anything else."""
    dll, _, symbols = spec.partition(": ")
    return dll, symbols.split()


def linker_symbol(symbol: str) -> str:
    return symbol.replace("#", "ordinal_")


class Builder:
    """One build: the compiler, and a directory for what is made on the way."""

    def __init__(self, compiler: Sequence[str], work: Path) -> None:
        self.compiler = list(compiler)
        self.work = work

    def run(self, *arguments: str) -> None:
        command = [*self.compiler, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")

    def made(self, what: Any, suffix: str) -> Path:
        """Return a file name that depends on what the file is made from."""
        return self.work / (hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16] + suffix)

    def object(self, key: tuple[str, tuple[str, ...], str]) -> None:
        source, defines, arch = key
        flags = ["-O1", "-g0", "-ffreestanding", "-fno-sanitize=all", "-Wall", "-Wextra", "-Werror"]
        options = [*flags, *(f"-D{define}" for define in defines), "-o", str(self.made(key, ".obj"))]
        self.run("cc", "-target", ARCHITECTURES[arch][0], "-c", str(SOURCES / source), *options)

    def library(self, key: tuple[str, str]) -> None:
        spec, arch = key
        dll, symbols = imported(spec)
        definition = self.made(key, ".def")
        lines = (f"{linker_symbol(s)} @{s[1:]} NONAME" if s[0] == "#" else s for s in symbols)
        definition.write_text("\n".join([f'LIBRARY "{dll}"', "EXPORTS", *lines, ""]), encoding="utf-8")
        options = ["-m", ARCHITECTURES[arch][1], "-d", str(definition), "-l", str(self.made(key, ".lib"))]
        self.run("dlltool", "-k", *options)  # -k: the symbol Sleep@4 imports Sleep

    def link(self, file: dict[str, Any], out: Path) -> None:
        arch = file["arch"]
        _, _, machine, prefix = ARCHITECTURES[arch]
        definition = self.made([file, str(out)], ".def")
        definition.write_text("\n".join(["EXPORTS", *file["exports"], ""]), encoding="utf-8")
        # The linker writes the name of its output into the export directory; `built_as` lets that name be another.
        product = self.made([file, str(out)], ".dir") / file.get("built_as", out.name)
        product.parent.mkdir()
        needed = [(spec, arch) for spec in (*file["imports"], *file["delay"])]
        symbols = [linker_symbol(s) for spec in file["imports"] for s in imported(spec)[1]]
        self.run(
            "lld-link",
            *("/dll", f"/machine:{machine}", "/entry:DllMain", "/nodefaultlib", "/opt:noref", "/safeseh:no"),
            *("/noimplib", "/timestamp:0", f"/def:{definition}", f"/out:{product}", *file["link"]),
            *(f"/include:__imp_{prefix}{symbol}" for symbol in symbols),
            *(f"/delayload:{imported(spec)[0]}" for spec in file["delay"]),
            str(self.made(object_key(file), ".obj")),
            *(str(self.made(key, ".lib")) for key in needed),
            *([str(self.resource(file["version"]))] if file["version"] else []),
        )
        product.replace(out)

    def resource(self, version: str) -> Path:
        """Write a compiled resource file that holds a version, which the linker takes as an input."""
        major, minor, build, revision = map(int, version.split("."))
        numbers = (major << 16 | minor, build << 16 | revision)
        fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, *numbers, *numbers, 0x3F, 0, 0x40004, 2, 0, 0, 0)
        body = struct.pack("<3H", 40 + len(fixed), len(fixed), 0) + "VS_VERSION_INFO\0\0".encode("utf-16-le") + fixed
        empty = struct.pack("<2I4H16x", 0, 32, 0xFFFF, 0, 0xFFFF, 0)  # how every such file begins
        header = struct.pack("<2I4HI2H2I", len(body), 32, 0xFFFF, 16, 0xFFFF, 1, 0, 0x30, 0x409, 0, 0)
        path = self.made(version, ".res")
        path.write_bytes(empty + header + body)
        return path

    def animal(self, animal: dict[str, Any]) -> None:
        folder = self.work.parent / animal["name"]
        for file in animal["files"]:
            out = folder / file["out"]
            out.parent.mkdir(parents=True, exist_ok=True)
            if "text" in file:
                out.write_text(file["text"], encoding="ascii")
            else:
                self.link(file, out)
            if file["patches"]:
                image = patch.Image(out.read_bytes())
                for told in file["patches"]:
                    name, *arguments = told.split()
                    getattr(patch, name)(image, *arguments)
                out.write_bytes(image.data)
        if animal["distribution"]:
            install(folder, DISTRIBUTION_DEFAULTS | animal["distribution"])


def install(folder: Path, distribution: dict[str, Any]) -> None:
    """Write the metadata of a distribution that has the files of an animal."""
    site = folder / distribution["site"]
    metadata = site / f"{distribution['name']}-{distribution['version']}.dist-info"
    metadata.mkdir()
    rows = [f"{name},sha256={'0' * 43},1000" for name in distribution["absent"]]
    for path in sorted(path for path in site.rglob("*") if path.is_file()):
        name, content = path.relative_to(site).as_posix(), path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if name not in distribution["extra"]:
            rows.append(f"{name},sha256={digest},{len(content) + (name in distribution['changed'])}")
    wheel = ["Wheel-Version: 1.0", *(f"Tag: {tag}" for tag in distribution["tags"])]
    for name, lines in (("RECORD", rows), ("WHEEL", wheel), ("INSTALLER", [distribution["installer"]])):
        (metadata / name).write_text("\n".join([*lines, ""]), encoding="ascii")


def object_key(file: dict[str, Any]) -> tuple[str, tuple[str, ...], str]:
    return file["source"], tuple(file["defines"]), file["arch"]


def parallel(function: Callable[[T], None], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(function, items))


def stamp(compiler: Sequence[str]) -> str:
    """Return a hash of everything the zoo is made from."""
    digest = hashlib.sha256(subprocess.run([*compiler, "version"], capture_output=True, check=True).stdout)
    for path in [*sorted(SOURCES.iterdir()), *RECIPES, HERE / "build.py", HERE / "patch.py"]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def is_complete(zoo: Path) -> bool:
    """Whether each file is in its place: some animals, once loaded, are not."""
    return all((zoo / animal["name"] / file["out"]).is_file() for animal in animals() for file in animal["files"])


def build(target: Path, compiler: Sequence[str]) -> None:
    """Make `target` the zoo; a finished one that is up to date and complete stays untouched."""
    index = target / INDEX
    current = stamp(compiler)
    if index.exists() and json.loads(index.read_text(encoding="ascii"))["stamp"] == current and is_complete(target):
        return
    if target.exists() and any(target.iterdir()) and not index.exists():
        raise FileExistsError(f"{target} is not empty and not a zoo")
    target.parent.mkdir(parents=True, exist_ok=True)
    herd = animals()
    files = [file for animal in herd for file in animal["files"] if "text" not in file]
    with tempfile.TemporaryDirectory(prefix=".zoo-", dir=target.parent) as temporary:
        new = Path(temporary) / "zoo"
        builder = Builder(compiler, new / "work")
        builder.work.mkdir(parents=True)
        parallel(builder.object, {object_key(file) for file in files})
        parallel(builder.library, {(spec, f["arch"]) for f in files for spec in (*f["imports"], *f["delay"])})
        parallel(builder.animal, herd)
        shutil.rmtree(builder.work)
        (new / INDEX).write_text(json.dumps({"stamp": current, "animals": herd}, indent=1), encoding="ascii")
        if target.exists():
            shutil.rmtree(target)
        new.replace(target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]).absolute(), [sys.executable, "-m", "ziglang"])
