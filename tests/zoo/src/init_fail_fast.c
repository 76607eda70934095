// A DllMain that aborts as /GS and a modern abort() do (fast-fail): the process ends with 0xC0000409, no handler sees it.
#define ATTACH __asm__ volatile("int $0x29" ::"c"(7)) // 7: FAST_FAIL_FATAL_APP_EXIT
#include "module.c"
