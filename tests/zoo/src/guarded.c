// AVX where CPUID says that the processor has it: asked IN_PLACE, or by a function with one of four ways to answer.
#include "vectors.h"

#ifdef IN_PLACE
#define HAS_AVX is_avx(cpuid_1_ecx())
#elif defined RETURNS
APART int has_avx(void) { return is_avx(cpuid_1_ecx()); }
#define HAS_AVX has_avx()
#elif defined WRITES_BACK // to variables of its caller
APART void ask(unsigned leaf, unsigned *registers)
{
    registers[0] = leaf, registers[2] = 0;
    __asm__ volatile("cpuid" : "+a"(registers[0]), "=b"(registers[1]), "+c"(registers[2]), "=d"(registers[3]));
}
#define HAS_AVX (ask(1, registers), is_avx(registers[2]))
#elif defined OBJECT // that was given by its address
struct processor { int known, has_avx; } processor;
APART void look_at(struct processor *what) { what->has_avx = is_avx(cpuid_1_ecx()), what->known = 1; }
APART void start(void)
{
    if (processor.has_avx)
        use_avx();
    counter++;
}
#elif defined GETTER
static int answer_of_cpuid;
APART void ask(void) { answer_of_cpuid = is_avx(cpuid_1_ecx()); }
APART int has_avx(void) { return answer_of_cpuid; }
#define HAS_AVX (ask(), has_avx())
#elif defined XGETBV // as the manuals have it: CPUID first, then which registers the system saves
APART int has_avx(void)
{
    unsigned low, high;
    if (!is_avx(cpuid_1_ecx()))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}
#define HAS_AVX has_avx()
#endif

#ifdef WRITES_BACK
#define ATTACH unsigned registers[4]; if (HAS_AVX) use_avx()
#elif defined OBJECT
#define ATTACH look_at(&processor); start()
#else
#define ATTACH if (HAS_AVX) use_avx()
#endif
#include "module.c"
