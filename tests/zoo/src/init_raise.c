// A DllMain that raises exception CODE, as a C++ exception that nobody catches does: what the error is depends on CODE.
__declspec(dllimport) void __stdcall RaiseException(unsigned code, unsigned flags, unsigned count, const void *arguments);
#define ATTACH RaiseException(CODE, 1, 0, 0) // 1: EXCEPTION_NONCONTINUABLE
#include "module.c"
