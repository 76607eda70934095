"""Does a file load on this machine, and if not, why? python check.py depwalk-x64.dll FILE"""

import ctypes
import sys
from ctypes import c_int32, c_uint32, c_wchar


class Result(ctypes.Structure):
    _fields_ = [("size", c_uint32), ("family", c_uint32), ("code", c_uint32), ("status", c_int32)]
    _fields_ += [("module", c_wchar * 260), ("needed_by", c_wchar * 260), ("sentence", c_wchar * 1024)]
    _fields_ += [("url", c_wchar * 260)]


library = ctypes.CDLL(sys.argv[1])
result = Result(ctypes.sizeof(Result))
library.dw_check(ctypes.c_wchar_p(sys.argv[2]), None, 0, ctypes.byref(result))
print(result.sentence or "loads")
sys.exit(result.family)
