// A DllMain that is gone from its place when the load ends: an image in use cannot be deleted, but can be renamed.
__declspec(dllimport) unsigned __stdcall GetModuleFileNameW(void *module, unsigned short *path, unsigned size);
__declspec(dllimport) int __stdcall DeleteFileW(const unsigned short *path);
__declspec(dllimport) int __stdcall MoveFileW(const unsigned short *from, const unsigned short *to);

static void move_aside(void *module)
{
    static const unsigned short suffix[] = L".old";
    static unsigned short path[0x8000], aside[0x8000];
    unsigned length = GetModuleFileNameW(module, path, sizeof path / 2 - sizeof suffix / 2);
    for (unsigned i = 0; i < length; i++)
        aside[i] = path[i];
    for (unsigned i = 0; i < sizeof suffix / 2; i++)
        aside[length + i] = suffix[i];
    if (!DeleteFileW(path))
        MoveFileW(path, aside);
}

#define ATTACH move_aside(module); THEN
#include "module.c"
