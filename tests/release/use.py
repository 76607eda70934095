"""Uses an installed depwalk as its three users do; run by every build of a wheel, on each platform. Prints "used"."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))

from pe_maker import pe

import depwalk
from depwalk import core


def main() -> None:
    assert core.lib.dw_abi_version() == core.lib.DW_ABI_VERSION
    with tempfile.TemporaryDirectory() as directory:
        module = Path(directory, "module.pyd")
        module.write_bytes(pe(imports={"MSVCP140.dll": ["f"]}))

        assert told_of(module) == ("fails", "missing-msvc-runtime")

        command = [sys.executable, "-m", "depwalk"]
        version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        assert version == f"depwalk {metadata.version('depwalk')}\n", version
        scanned = subprocess.run(
            [*command, "scan", directory, "--windows", "10"], capture_output=True, text=True, check=False
        )
        assert scanned.returncode == 1, scanned
        assert "missing-msvc-runtime" in scanned.stdout, scanned
    if sys.platform == "win32":
        assert depwalk.diagnose(core.LIBRARY, load=True).verdict == "loads"
    print("used")


def told_of(module: Path) -> tuple[str, str]:
    """The verdict and the first finding; the result, which keeps the file mapped, goes."""
    result = depwalk.diagnose(module, windows="10", load=False)
    return result.verdict, result.findings[0].code


if __name__ == "__main__":
    main()
