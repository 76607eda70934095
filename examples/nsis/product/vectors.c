/* Compiled for AVX2: the first such instruction runs while the DLL is loaded, as in a static initialiser of C++. */

typedef int lanes __attribute__((vector_size(32)));

int _fltused; /* what a linker asks for where there is floating point and no C runtime */
static volatile lanes table;

__declspec(dllexport) float first_lane(void) { return (float)table[0]; }

int __stdcall DllMainCRTStartup(void *module, unsigned long reason, void *reserved)
{
    (void)module, (void)reserved;
    table += (int)reason;
    return 1;
}
