// A DllMain that throws a std::runtime_error as Visual C++ does, and nobody catches it: 0xE06D7363 is the error.
__declspec(dllimport) void __stdcall RaiseException(unsigned code, unsigned flags, unsigned count, const void *arguments);
extern char __ImageBase[];

// The layout, of which every `unsigned` is an RVA or a number: ehdata.h of Visual C++.
static struct { const void *table, *spare; char name[24]; } type = {0, 0, ".?AVruntime_error@std@@"};
static struct { unsigned properties, type; int displacement[3]; unsigned size, copy; } catchable = {
    .displacement = {0, -1},
};
static struct { unsigned count, types[1]; } list = {.count = 1};
static struct { unsigned attributes, destructor, compatible, list; } thrown;
static const void *object[3] = {0, "the zoo is closed"}; // virtual functions, what(), not to be freed

static unsigned rva(const void *address) { return (unsigned)((const char *)address - __ImageBase); }

static void throw(void)
{
    catchable.type = rva(&type);
    catchable.size = sizeof object;
    list.types[0] = rva(&catchable);
    thrown.list = rva(&list);
    const void *arguments[] = {(void *)0x19930520, object, &thrown, __ImageBase};
    RaiseException(0xE06D7363, 1, 4, arguments); // 1: EXCEPTION_NONCONTINUABLE
}

#define ATTACH throw()
#include "module.c"
