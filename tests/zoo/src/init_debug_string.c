// A DllMain that tells a debugger, and no one else, why it refuses to start.
__declspec(dllimport) void __stdcall OutputDebugStringW(const unsigned short *text);
#define ATTACH OutputDebugStringW(L"zoo: no licence found, giving up\n"); return 0
#include "module.c"
