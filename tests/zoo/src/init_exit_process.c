// A DllMain that ends the process politely: an exit status of 77 and no result is a failed load, too.
__declspec(dllimport) void __stdcall ExitProcess(unsigned status);
#define ATTACH ExitProcess(77)
#include "module.c"
