// A DllMain that loads a neighbour by its full path: that plugin.dll cannot be loaded stands in no import table.
__declspec(dllimport) unsigned __stdcall GetModuleFileNameW(void *module, unsigned short *path, unsigned size);
__declspec(dllimport) void *__stdcall LoadLibraryW(const unsigned short *path);

static void *load_neighbour(void *module)
{
    static const unsigned short name[] = L"plugin.dll";
    static unsigned short path[0x8000];
    unsigned end = GetModuleFileNameW(module, path, sizeof path / 2 - sizeof name / 2);
    while (end && path[end - 1] != '\\')
        end--;
    for (unsigned i = 0; i < sizeof name / 2; i++)
        path[end + i] = name[i];
    return LoadLibraryW(path);
}

#define ATTACH if (!load_neighbour(module)) { IF_IT_FAILS; }
#include "module.c"
