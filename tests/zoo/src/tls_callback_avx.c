// A thread-local-storage callback that uses AVX unasked, before a DllMain that is quite in order.
#include "vectors.h"
#include "module.c"

static void __stdcall callback(void *module, unsigned long reason, void *reserved)
{
    (void)module, (void)reserved;
    if (reason == 1) // DLL_PROCESS_ATTACH
        use_avx();
}

static char data[8];
static unsigned tls_index;
static void(__stdcall *const callbacks[])(void *, unsigned long, void *) = {callback, 0};

// The linker takes the symbol of this name as the TLS directory.
const struct {
    const void *data_start, *data_end, *index, *callbacks;
    unsigned zero_fill, characteristics;
} _tls_used = {data, data + sizeof data, &tls_index, callbacks, 0, 0};
