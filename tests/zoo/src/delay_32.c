// A 32-bit DLL with a delay-loaded import that is never called: the descriptor is rewritten to addresses (patch.py).
#include "module.c"

int delayed(void);
void *__stdcall __delayLoadHelper2(const void *descriptor, void **slot) { return (void)descriptor, (void)slot, (void *)0; }
int call(void) { return delayed(); }
