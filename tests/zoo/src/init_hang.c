// A DllMain that never comes back: it holds the loader lock, so only another process can end this one.
__declspec(dllimport) void __stdcall Sleep(unsigned long milliseconds);
#define ATTACH Sleep(0xFFFFFFFF) // INFINITE; a busy loop would show the same, and heat the test machine
#include "module.c"
