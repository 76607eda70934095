"""What depwalk says of ten patients and of a scan, as text, page and JSON: docs/examples, with pictures of two pages.

`ci/run.py examples` makes them anew. Each is a real run in the bed: the patients lie in C:\\examples, so that
the reports have paths as users see them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bed
import fetch
from steps import CACHE, CHECKOUT, file_hash, remove_tree, say

if TYPE_CHECKING:
    from pathlib import Path

TARGET = CHECKOUT / "docs" / "examples"
MADE_OF = CHECKOUT / "docs" / "pictures" / "reports.sha256"  # of the pages that the pictures show
PICTURES = {"torch-2.4.0": (1100, 1040), "scan": (1100, 1240)}  # of which pages, with width and height in pixels
CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FORMATS = {"text": "txt", "html": "html", "json": "json"}
TENSORFLOW = "C:\\examples\\tensorflow_core\\python\\_pywrap_tensorflow_internal.pyd"
RIGHT_PYTHON = ("--python", "3.7", "--dll-dir", bed.RUNTIME_37)
NUMPY = "_multiarray_umath.cp311-win_amd64.pyd"
TEN = ("--windows", "10", "--with-runtime", "vc14")


@dataclass(frozen=True)
class Patient:
    """One command, and the exit status that it must have."""

    name: str
    title: str
    target: str
    options: tuple[str, ...] = ()
    status: int = 1
    cpu: str = ""


PATIENTS = (
    Patient("tensorflow-healthy", "TensorFlow 2.0 where all is in place", TENSORFLOW, RIGHT_PYTHON, 0),
    Patient("tensorflow-without-runtime", "TensorFlow 2.0 without the Visual C++ runtime", TENSORFLOW,
            (*RIGHT_PYTHON, "--windows", "10")),
    Patient("tensorflow-without-avx", "TensorFlow 2.0 on a processor without AVX", TENSORFLOW, RIGHT_PYTHON,
            cpu="Nehalem"),
    Patient("numpy-in-its-package", "NumPy's extension module where it is installed", f"C:\\site\\numpy\\core\\{NUMPY}",
            status=0),
    Patient("numpy-alone", "The same file, copied out of its package", f"C:\\examples\\alone\\{NUMPY}"),
    Patient("torch-2.4.0", "PyTorch 2.4.0, which lacks a DLL", "C:\\examples\\torch\\_C.cp311-win_amd64.pyd"),
    Patient("opencv-on-10-N", "OpenCV on an N edition of Windows 10", "C:\\examples\\cv2\\cv2.pyd",
            ("--windows", "10-N", "--with-runtime", "vc14", "--python", "3.11")),
    Patient("shadowed", "Another program's DLL in the way", "C:\\examples\\conflict-cuda-twice\\torch\\user.pyd",
            (*TEN, "--python", "3.11", "--dll-dir", "C:\\examples\\conflict-cuda-twice\\torch\\lib",
             "--dll-dir", "C:\\examples\\conflict-cuda-twice\\CUDA\\bin")),
    Patient("blocked", "Something that may not be opened in a DLL's place",
            "C:\\examples\\directory-named-dll\\user.pyd"),
    Patient("scan", "A site-packages, for two Windows, with the Visual C++ runtime and without", "scan",
            ("C:\\site-numpy2", "--windows", "7", "--windows", "10", "--with-runtime", "vc14",
             "--also-without-runtime")),
    Patient("corrupt", "A download that was cut off", f"C:\\examples\\cut\\{NUMPY}"),
)  # fmt: skip


def prepare(host_python: Path, prefix: Path) -> None:
    """Put the patients on drive C, as links."""
    place = prefix / "drive_c" / "examples"
    remove_tree(place)
    judged = {path.name.partition("-")[0]: path for path in (CACHE / "judged").iterdir()}
    tensorflow = fetch.unpack_patients(host_python) / "tensorflow-2.0.0-cp37-win_amd64" / "tensorflow_core"
    for source in (tensorflow, judged["torch"] / "torch", judged["opencv_python"] / "cv2",
                   CACHE / "zoo" / "conflict-cuda-twice", CACHE / "zoo" / "directory-named-dll"):  # fmt: skip
        shutil.copytree(source, place / source.name, copy_function=os.link)
    whole = CACHE / "site" / "numpy" / "core" / NUMPY
    for folder in ("alone", "cut"):
        (place / folder).mkdir()
    shutil.copy(whole, place / "alone")
    (place / "cut" / NUMPY).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def make(the_bed: bed.Bed) -> int:
    """Write the reports of every patient; return how many ended otherwise than they must."""
    TARGET.mkdir(exist_ok=True)
    wrong = []
    for patient in PATIENTS:
        for form, suffix in _forms(patient):
            status, content = _report(the_bed, patient, form)
            if status != patient.status:
                wrong.append(f"{patient.name}, {form}: exit status {status}, not {patient.status}")
            shown = f"{_command(patient)}\n\n" if form == "text" else ""
            (TARGET / f"{patient.name}.{suffix}").write_text(shown + content, "utf-8", newline="\n")
        say(f"[ci] {patient.name}: {patient.title}")
    (TARGET / "README.md").write_text(_index(), "utf-8", newline="\n")
    made_of = [_picture(name, width, height) for name, (width, height) in PICTURES.items()]
    MADE_OF.write_text("".join(made_of), "utf-8", newline="\n")
    for line in wrong:
        say(f"[ci] {line}")
    return len(wrong)


def _report(the_bed: bed.Bed, patient: Patient, form: str) -> tuple[int, str]:
    output = the_bed.prefix / "drive_c" / "examples" / "report"
    output.unlink(missing_ok=True)
    arguments = ("-m", "depwalk", patient.target, *patient.options, "--format", form, "-o", "C:\\examples\\report")
    ran = the_bed.python(*arguments, cpu=patient.cpu)
    return ran.returncode, output.read_text("utf-8") if output.exists() else ran.stderr


def _forms(patient: Patient) -> list[tuple[str, str]]:
    """The forms of its report; a scan's JSON has a line for each file, and is long."""
    return [pair for pair in FORMATS.items() if patient.target != "scan" or pair[0] != "json"]


def _picture(name: str, width: int, height: int) -> str:
    """Take a picture of the top of a page; return a line that says of what it was taken."""
    output = MADE_OF.with_name(f"report-{name}.png")
    with tempfile.TemporaryDirectory() as profile:
        options = [f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={output}"]
        page = TARGET / f"{name}.html"
        subprocess.run([*CHROMIUM, *options, page.as_uri()], check=True, timeout=120, stderr=subprocess.DEVNULL)
    return f"{file_hash(page)}  {name}\n"


def _command(patient: Patient) -> str:
    return subprocess.list2cmdline(["python", "-m", "depwalk", patient.target, *patient.options])


def _index() -> str:
    """The page that names them all."""
    lines = [
        "# Ten patients",
        "",
        "What depwalk says of ten real files, in a Python under Wine: as text, as a page for the browser, as JSON.",
        "`python3 ci/run.py examples` makes them anew.",
        "",
        "| patient | text | page | JSON |",
        "|---|---|---|---|",
    ]
    for patient in PATIENTS:
        links = [f"[{form}]({patient.name}.{suffix})" for form, suffix in _forms(patient)]
        lines.append(f"| {patient.title} | {' | '.join(links)} |" + ("" if len(links) == len(FORMATS) else " |"))
    return "\n".join([*lines, ""])
