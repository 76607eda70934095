// A DLL that chooses where its own imports are searched: DependentLoadFlags = FLAGS in its load configuration.
#include "module.c"

// The linker takes the symbol of this name as the load configuration directory.
const struct {
    unsigned size, time_stamp;
    unsigned short major, minor;
    unsigned global_flags_clear, global_flags_set, critical_section_timeout;
    const void *free_block, *total_free, *lock_prefix, *maximum_allocation, *virtual_memory, *affinity;
    unsigned heap_flags;
    unsigned short csd_version, dependent_load_flags;
    const void *edit_list, *security_cookie, *seh_table, *seh_count;
} _load_config_used = {.size = sizeof _load_config_used, .dependent_load_flags = FLAGS};
