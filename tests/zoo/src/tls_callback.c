// A thread-local-storage callback that writes to address 0: it runs, and fails, before a DllMain that is quite in order.
#include "module.c"

static void __stdcall callback(void *module, unsigned long reason, void *reserved)
{
    (void)module, (void)reserved;
    if (reason == 1) // DLL_PROCESS_ATTACH
        *(volatile int *)0 = 1;
}

static char data[8];
static unsigned tls_index;
static void(__stdcall *const callbacks[])(void *, unsigned long, void *) = {callback, 0};

// The linker takes the symbol of this name as the TLS directory.
const struct {
    const void *data_start, *data_end, *index, *callbacks;
    unsigned zero_fill, characteristics;
} _tls_used = {data, data + sizeof data, &tls_index, callbacks, 0, 0};
