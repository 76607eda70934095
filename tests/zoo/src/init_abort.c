// A DllMain that calls abort of the C runtime, as a failed assertion does: the process ends with 0xC0000409.
__declspec(dllimport) void abort(void);
#define ATTACH abort()
#include "module.c"
