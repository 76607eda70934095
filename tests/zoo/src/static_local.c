// A static local that is initialised at first use, guarded as Visual C++ does it: its initialiser uses AVX, or ASKS.
#include "vectors.h"
#ifdef ASKS
#define INITIALISER is_avx(cpuid_1_ecx())
#define USE(value) if (value) use_avx()
#else
#define INITIALISER (use_avx(), 1)
#define USE(value) (void)(value)
#endif

static int epoch[2] = {0, -0x7fffffff - 1}; // _Init_thread_epoch, of each thread its own
static unsigned tls_index;
static void *const callbacks[] = {0};

const struct {
    const void *data_start, *data_end, *index, *callbacks;
    unsigned zero_fill, characteristics;
} _tls_used = {epoch, epoch + 2, &tls_index, callbacks, 0, 0};

int guard, value;

APART void _Init_thread_header(int *guarded) { *guarded = -1; }
APART void _Init_thread_footer(int *guarded) { *guarded = epoch[1] + 1; }

#ifdef __x86_64__
#define EPOCH "movl %2, %%ecx\n\tmovq %%gs:0x58, %%rax\n\tmovq (%%rax, %%rcx, 8), %%rax\n\tmovl 4(%%rax), %%eax\n\t"
#else
#define EPOCH "movl %2, %%ecx\n\tmovl %%fs:0x2c, %%eax\n\tmovl (%%eax, %%ecx, 4), %%eax\n\tmovl 4(%%eax), %%eax\n\t"
#endif

APART static void first_use(void)
{
    __asm__ goto(EPOCH "cmpl %%eax, %0\n\tjg %l[initialise]"
                 :
                 : "m"(guard), "m"(value), "m"(tls_index)
                 : "eax", "ecx", "cc"
                 : initialise);
use:
    USE(value);
    counter++;
    return;
initialise:
    _Init_thread_header(&guard);
    if (guard == -1) {
        value = INITIALISER;
        _Init_thread_footer(&guard);
    }
    goto use;
}

#define ATTACH first_use()
#include "module.c"
