// A DllMain that starts a thread and waits for it: the thread waits for the loader lock, which DllMain holds.
__declspec(dllimport) void *__stdcall CreateThread(void *, unsigned long long stack, void *, void *, unsigned, void *);
__declspec(dllimport) unsigned __stdcall WaitForSingleObject(void *handle, unsigned milliseconds);

static unsigned __stdcall work(void *unused) { return (void)unused, 0; }

#define ATTACH WaitForSingleObject(CreateThread(0, 0, work, 0, 0, 0), MILLISECONDS)
#include "module.c"
