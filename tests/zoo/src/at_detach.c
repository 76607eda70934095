// A DllMain that uses AVX unasked for a REASON that is not that of a load, in a switch over several or an IF.
#include "vectors.h"

int answer(void) { return 0; }

int __stdcall DllMain(void *module, unsigned long reason, void *reserved)
{
    (void)module, (void)reserved;
#ifdef IF
    if (reason == 0) // DLL_PROCESS_DETACH
        use_avx();
#else
    switch (reason) {
    case 0:
        use_avx();
        break;
    case 1:
        counter = 1;
        break;
    case 2:
        counter += 2;
        break;
    }
#endif
    return 1;
}
