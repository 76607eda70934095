// For sources that show what code needs of a processor: a function of AVX, and how programs ask for it.
#define APART __attribute__((noinline)) // a function of its own, however small
#define FOR_AVX APART __attribute__((target("avx")))

typedef float vector __attribute__((vector_size(32)));

vector numbers;
volatile int counter;

// What a compiler makes of arithmetic for processors with AVX; nothing, if it is not called.
FOR_AVX __attribute__((unused)) static void use_avx(void) { numbers *= 3; }

static inline unsigned cpuid_1_ecx(void)
{
    unsigned eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx;
}

// Bits 27, OSXSAVE, and 28, AVX.
static inline int is_avx(unsigned ecx) { return (ecx >> 27 & 3) == 3; }
