/* Loads the core at argv[1], lets it read the PE file argv[2], and prints four numbers: the version of the interface, the
 * size of a struct, the machine of the file, and how many DLLs it imports. */
#include "depwalk.h"

#include <dlfcn.h>
#include <stdio.h>

typedef uint32_t abi_version(void);
typedef int32_t open_image(dw_image *, const dw_char *, uint32_t *);
typedef dw_counts imports(dw_image *, uint32_t, dw_import *, uint32_t, dw_symbol *, uint32_t);

int main(int count, char **words)
{
    void *core = count == 3 ? dlopen(words[1], RTLD_NOW) : NULL;
    if (!core) {
        printf("%s\n", count == 3 ? dlerror() : "usage: uses_core CORE FILE");
        return 1;
    }
    abi_version *version = (abi_version *)dlsym(core, "dw_abi_version");
    open_image *open = (open_image *)dlsym(core, "dw_open");
    imports *listed = (imports *)dlsym(core, "dw_imports");
    static dw_image image;
    uint32_t code = 0;
    int32_t status = open(&image, words[2], &code);
    if (status != DW_OK) {
        printf("status %d, error %u\n", (int)status, (unsigned)code);
        return 1;
    }
    dw_counts counts = listed(&image, DW_DIRECTORY_IMPORT, NULL, 0, NULL, 0);
    printf("%u %zu %u %u\n", (unsigned)version(), sizeof image, (unsigned)image.machine, (unsigned)counts.dlls);
    return 0;
}
