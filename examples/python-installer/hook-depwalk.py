"""What PyInstaller does not see of depwalk: its core, its tables, and the modules that it imports when needed.

With this file beside the program: pyinstaller --additional-hooks-dir . product.py
"""

from PyInstaller.utils.hooks import collect_data_files, collect_dynamic_libs, collect_submodules

binaries = collect_dynamic_libs("depwalk", search_patterns=["_core.dll"])
datas = collect_data_files("depwalk", subdir="data")
hiddenimports = ["_cffi_backend", *collect_submodules("depwalk")]
