/* The loader's functions where there is no Windows loader. */
#include "depwalk.h"

int32_t dw_load(const dw_load_request *request, dw_load_result *result)
{
    (void)request;
    *result = (dw_load_result){0};
    return DW_NOT_HERE;
}

uint32_t dw_modules(void **modules, uint32_t capacity)
{
    (void)modules;
    (void)capacity;
    return 0;
}

uint32_t dw_module_path(void *module, dw_char *path, uint32_t capacity)
{
    (void)module;
    (void)path;
    (void)capacity;
    return 0;
}

int32_t dw_api_set_map(const uint8_t **map, uint32_t *size)
{
    *map = NULL;
    *size = 0;
    return DW_NOT_HERE;
}

uint32_t dw_known_dlls(dw_char *names, uint32_t capacity)
{
    (void)names;
    (void)capacity;
    return 0;
}

int32_t dw_commit(uint64_t *limit, uint64_t *available, uint32_t *code)
{
    *limit = *available = 0;
    *code = 0;
    return DW_NOT_HERE;
}

int32_t dw_elevation(uint32_t *type, uint32_t *elevated)
{
    *type = *elevated = 0;
    return DW_NOT_HERE;
}

int32_t dw_guard(void *process, void **job, uint32_t *code)
{
    (void)process;
    *job = NULL;
    *code = 0;
    return DW_NOT_HERE;
}

void dw_unguard(void *job)
{
    (void)job;
}
