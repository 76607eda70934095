/* Feeds files, cut files and damaged files to every reading function of the core. invariants.c says what must hold.
 *
 *     fuzz_pe [--mutations N] [--cuts N] [--worst BYTES] [--save FILE] FILE...
 *
 * Each file is read whole, cut at every length (at N lengths if it is large) and with N mutations. --worst makes files
 * of that size that cost as much as they can and says what each took. Everything is deterministic. The input of a
 * failure is written to the file that --save names.
 *
 * With FUZZ_LIBFUZZER defined this is a target of libFuzzer instead.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#if defined(__SANITIZE_ADDRESS__)
#  define FUZZ_ASAN 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define FUZZ_ASAN 1
#  endif
#endif

#if defined(FUZZ_LIBFUZZER)

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    if (seed % 2 == 0) {
        return LLVMFuzzerMutate(data, size, most);
    }
    fuzz_mutate(data, size, seed);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {"libFuzzer", "input", 0, data, size};
    fuzz_check(&input);
    return 0;
}

#else

enum {
    SMALL = 8192,           /* a file up to this size is cut at every length */
    BEGINNING = 1024        /* and a larger one within so many bytes, where its headers are */
};

typedef struct run_options {
    uint64_t mutations;
    uint64_t cuts;
    size_t worst;
} run_options;

typedef struct run_totals {
    uint64_t files, cuts, mutations;
} run_totals;

_Noreturn static void stop(const char *what, const char *name)
{
    fprintf(stderr, "fuzz_pe: %s: %s\n", what, name);
    exit(2);
}

/* ---- where inputs lie ------------------------------------------------------------------------------------------- */

#if defined(FUZZ_ASAN)

/* A heap block of exactly its size: AddressSanitizer sees a read beyond it. */
static uint8_t *place(size_t size)
{
    uint8_t *block = malloc(size ? size : 1);
    if (!block) {
        stop("no memory for", "an input");
    }
    return size ? block : block + 1;
}

static void displace(uint8_t *block, size_t size)
{
    free(size ? block : block - 1);
}

#else

/* Pages that end where the input ends, before one that cannot be read. They are kept for the next input. */
static uint8_t *arena;
static size_t arena_size;

static void make_arena(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (arena) {
        (void)munmap(arena, arena_size + page);
    }
    arena_size = (size + page) / page * page;
    void *mapped = mmap(NULL, arena_size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED || mprotect((uint8_t *)mapped + arena_size, page, PROT_NONE) != 0) {
        stop("no memory for", "an input");
    }
    arena = mapped;
}

static uint8_t *place(size_t size)
{
    if (!arena || size > arena_size) {
        make_arena(size);
    }
    return arena + arena_size - size;
}

static void displace(uint8_t *block, size_t size)
{
    (void)block;
    (void)size;
}

#endif

/* ---- variants of one file --------------------------------------------------------------------------------------- */

typedef struct subject {
    const char *name;
    uint8_t *data;
    size_t size;
    uint64_t hash;
} subject;

static void check_variant(const subject *file, const char *variant, uint64_t number, size_t size, bool mutated)
{
    uint8_t *block = place(size);
    memcpy(block, file->data, size);
    if (mutated) {
        fuzz_mutate(block, size, file->hash + number);
    }
    fuzz_input input = {file->name, variant, number, block, size};
    fuzz_check(&input);
    displace(block, size);
}

static uint64_t check_cuts(const subject *file, uint64_t most)
{
    uint64_t state = file->hash | 1, count = 0;
    size_t every = file->size <= SMALL ? file->size : BEGINNING;
    for (size_t size = 0; size < every; size++, count++) {
        check_variant(file, "cut to", size, size, false);
    }
    for (; every < file->size && count < most; count++) {
        size_t size = every + (size_t)(fuzz_random(&state) >> 11) % (file->size - every);
        check_variant(file, "cut to", size, size, false);
    }
    return count;
}

static void check_mutations(const subject *file, uint64_t count)
{
    for (uint64_t number = 0; number < count; number++) {
        check_variant(file, "mutation", number, file->size, true);
    }
}

/* ---- the file itself -------------------------------------------------------------------------------------------- */

/* Whether this process maps the file; false also where that cannot be known. */
static bool is_mapped(const char *name)
{
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        found = found || strstr(line, name) != NULL;
    }
    if (maps) {
        (void)fclose(maps);
    }
    return found;
}

/* What dw_open maps is what dw_parse was given, and is gone after dw_close. */
static void check_open(const subject *file)
{
    dw_image opened = {0}, parsed;
    uint32_t os_error = UINT32_MAX;
    int32_t status = dw_open(&opened, file->name, &os_error);
    MUST(status == dw_parse(&parsed, file->data, file->size));
    MUST(os_error == 0);
    if (status == DW_OK) {
        MUST(opened.mapped == 1 && opened.size == file->size);
        MUST(memcmp(opened.data, file->data, file->size) == 0);
        MUST(opened.machine == parsed.machine && opened.section_count == parsed.section_count);
        MUST(opened.defect_count == parsed.defect_count);
        dw_close(&opened);
    }
    MUST(opened.data == NULL && opened.mapped == 0); /* not even a pointer to what is mapped no more */
    dw_close(&parsed);
    MUST(!is_mapped(file->name));
}

static uint64_t hash_of(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * 0x100000001B3u;
    }
    return hash;
}

static subject read_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        stop("cannot open", name);
    }
    long size = ftell(file);
    subject read = {name, malloc(size > 0 ? (size_t)size : 1), size > 0 ? (size_t)size : 0, 0};
    if (size < 0 || !read.data || fseek(file, 0, SEEK_SET) != 0 || fread(read.data, 1, read.size, file) != read.size) {
        stop("cannot read", name);
    }
    (void)fclose(file);
    read.hash = hash_of(read.data, read.size);
    return read;
}

static void check_file(const char *name, const run_options *options, run_totals *totals)
{
    subject file = read_file(name);
    check_open(&file);
    check_variant(&file, "whole", 0, file.size, false);
    totals->cuts += check_cuts(&file, options->cuts);
    check_mutations(&file, options->mutations);
    totals->mutations += options->mutations;
    totals->files++;
    free(file.data);
}

/* ---- the worst files -------------------------------------------------------------------------------------------- */

static void check_worst(size_t size)
{
    const char *name = NULL;
    uint8_t *block = place(size);
    for (uint32_t number = 0; fuzz_worst(number, block, size, &name); number++) {
        fuzz_input input = {name, "worst", number, block, size};
        clock_t start = clock();
        fuzz_check(&input);
        printf("%8.3f s  %s\n", (double)(clock() - start) / CLOCKS_PER_SEC, name);
    }
    displace(block, size);
}

/* ---- command line ----------------------------------------------------------------------------------------------- */

static uint64_t number_of(const char *text)
{
    char *end;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;
    if (!text || *text == 0 || *end != 0) {
        stop("not a number", text ? text : "(nothing)");
    }
    return value;
}

/* Returns the index of the first file. */
static int read_options(int count, char **arguments, run_options *options)
{
    int i = 1;
    for (; i < count && strncmp(arguments[i], "--", 2) == 0; i += 2) {
        const char *option = arguments[i], *value = i + 1 < count ? arguments[i + 1] : NULL;
        if (strcmp(option, "--mutations") == 0) {
            options->mutations = number_of(value);
        } else if (strcmp(option, "--cuts") == 0) {
            options->cuts = number_of(value);
        } else if (strcmp(option, "--worst") == 0) {
            options->worst = (size_t)number_of(value);
        } else if (strcmp(option, "--save") == 0) {
            fuzz_save_path = value;
        } else {
            stop("unknown option", option);
        }
    }
    return i;
}

int main(int count, char **arguments)
{
    run_options options = {.mutations = 1000, .cuts = 2000};
    run_totals totals = {0, 0, 0};
    int first = read_options(count, arguments, &options);
    if (options.worst) {
        check_worst(options.worst);
    }
    for (int i = first; i < count; i++) {
        check_file(arguments[i], &options, &totals);
    }
    printf("%llu files, %llu cuts, %llu mutations; at most %.1f basic blocks per byte\n",
           (unsigned long long)totals.files, (unsigned long long)totals.cuts, (unsigned long long)totals.mutations,
           fuzz_most_work());
    return 0;
}

#endif
