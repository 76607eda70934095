// A DLL with a delay-loaded import: a load leaves it alone; `call` needs it, and raises 0xC06D007E if the DLL is missing.
#include "module.c"

typedef long long (*function)(void);
__declspec(dllimport) void *LoadLibraryExA(const char *name, void *file, unsigned flags);
__declspec(dllimport) function GetProcAddress(void *module, const char *name);
__declspec(dllimport) void RaiseException(unsigned code, unsigned flags, unsigned count, const void *arguments);
int delayed(void);

extern char __ImageBase[];
struct descriptor {
    unsigned attributes, name, module, addresses, names, bound, unload, time_stamp; // RVAs
};

// The linker's thunks call this; it does what Microsoft's helper does for an import by name.
function __delayLoadHelper2(const struct descriptor *d, function *slot)
{
    const unsigned long long *names = (const void *)(__ImageBase + d->names);
    long long index = slot - (function *)(__ImageBase + d->addresses);
    void *module = LoadLibraryExA(__ImageBase + d->name, 0, 0); // flags 0: the DLL's own directory is not searched
    if (!module)
        RaiseException(0xC06D007E, 0, 0, 0);
    *slot = GetProcAddress(module, __ImageBase + names[index] + 2); // 2: past the hint
    if (!*slot)
        RaiseException(0xC06D007F, 0, 0, 0);
    return *slot;
}

int call(void) { return delayed(); }
