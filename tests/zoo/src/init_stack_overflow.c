// A DllMain that recurses without end: the loader swallows the stack overflow and reports 1001.
static int deeper(volatile char *above)
{
    volatile char here[512]; // less than a page: more would need the compiler's stack probe
    here[0] = above[0];
    return here[0] ? 0 : deeper(here) + here[0]; // never anything but 0, which the compiler cannot know
}

#define ATTACH static volatile char zero[1]; deeper(zero)
#include "module.c"
