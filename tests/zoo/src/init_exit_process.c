// A DllMain that ends the process politely: whatever STATUS says, even 0, no result is a failed load, too.
__declspec(dllimport) void __stdcall ExitProcess(unsigned status);
#define ATTACH ExitProcess(STATUS)
#include "module.c"
