/* What the Windows loader is asked: to load a file, what is loaded, its API-set map, its KnownDLLs. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winternl.h>

#include <stdbool.h>

#include "depwalk.h"

/* psapi.h declares these under names that depend on PSAPI_VERSION; kernel32 has had these two since Windows 7. */
BOOL WINAPI K32EnumProcessModules(HANDLE process, HMODULE *modules, DWORD size, LPDWORD needed);

/* ntdll, present in every Windows; winternl.h lacks them. */
NTSTATUS NTAPI NtOpenDirectoryObject(PHANDLE directory, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes);
NTSTATUS NTAPI NtQueryDirectoryObject(HANDLE directory, PVOID buffer, ULONG length, BOOLEAN single, BOOLEAN restart,
                                      PULONG context, PULONG returned);
PVOID NTAPI RtlGetCurrentPeb(VOID);
NTSTATUS NTAPI NtOpenProcessToken(HANDLE process, ACCESS_MASK access, PHANDLE token);
NTSTATUS NTAPI NtQueryInformationToken(HANDLE token, TOKEN_INFORMATION_CLASS kind, PVOID buffer, ULONG length,
                                       PULONG returned);

typedef void (*any_function)(void); /* what a function pointer is converted through */
typedef BOOL(WINAPI *set_default_dll_directories)(DWORD flags);
typedef PVOID(WINAPI *add_dll_directory)(PCWSTR directory);

enum {
    DIRECTORY_QUERY = 1,
    KNOWN_DLL_ROOM = 2048,  /* bytes for one directory entry with its two names */
    PEB_API_SET_MAP = sizeof(void *) == 8 ? 0x68 : 0x38
};

typedef struct directory_entry {
    UNICODE_STRING name;
    UNICODE_STRING type;
} directory_entry;

static any_function kernel32_function(const char *name)
{
    HMODULE kernel32 = GetModuleHandleW(L"kernel32.dll");
    return kernel32 ? (any_function)GetProcAddress(kernel32, name) : NULL;
}

static int32_t refused(dw_load_result *result, uint32_t call)
{
    result->code = GetLastError();
    result->call = call;
    return DW_REFUSED;
}

/* Windows 7 has these two only since update KB2533623: they are looked up, never imported. */
static int32_t prepare_search(const dw_load_request *request, dw_load_result *result)
{
    if (request->default_flags != 0) {
        set_default_dll_directories set =
            (set_default_dll_directories)kernel32_function("SetDefaultDllDirectories");
        if (!set || !set(request->default_flags)) {
            return refused(result, DW_CALL_SET_DEFAULT_DLL_DIRECTORIES);
        }
    }
    for (uint32_t i = 0; i < request->directory_count; i++) {
        add_dll_directory add = (add_dll_directory)kernel32_function("AddDllDirectory");
        if (!add || !add(request->directories[i])) {
            result->directory = i;
            return refused(result, DW_CALL_ADD_DLL_DIRECTORY);
        }
    }
    return DW_OK;
}

int32_t dw_load(const dw_load_request *request, dw_load_result *result)
{
    *result = (dw_load_result){0};
    int32_t status = prepare_search(request, result);
    if (status != DW_OK) {
        return status;
    }
    /* Inherited by what the load starts; a message box in a child without a window would wait for ever. */
    (void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    result->module = (void *)LoadLibraryExW(request->path, NULL, request->flags);
    return result->module ? DW_OK : refused(result, DW_CALL_LOAD_LIBRARY);
}

uint32_t dw_modules(void **modules, uint32_t capacity)
{
    DWORD needed = 0;
    DWORD room = capacity * (DWORD)sizeof *modules;
    if (!K32EnumProcessModules(GetCurrentProcess(), (HMODULE *)(void *)modules, room, &needed)) {
        return 0;
    }
    return (uint32_t)(needed / sizeof *modules);
}

uint32_t dw_module_path(void *module, dw_char *path, uint32_t capacity)
{
    return GetModuleFileNameW((HMODULE)module, path, capacity);
}

int32_t dw_api_set_map(const uint8_t **map, uint32_t *size)
{
    const uint8_t *peb = RtlGetCurrentPeb();
    MEMORY_BASIC_INFORMATION region;
    *map = *(const uint8_t *const *)(const void *)(peb + PEB_API_SET_MAP);
    *size = 0;
    if (*map == NULL || VirtualQuery(*map, &region, sizeof region) == 0) {
        return DW_NOT_HERE;
    }
    uintptr_t end = (uintptr_t)region.BaseAddress + region.RegionSize;
    *size = (uint32_t)(end - (uintptr_t)*map);
    return DW_OK;
}

static HANDLE open_known_dlls(void)
{
    BOOL wow64 = FALSE;
    HANDLE directory = NULL;
    (void)IsWow64Process(GetCurrentProcess(), &wow64);
    WCHAR native[] = L"\\KnownDlls", narrow[] = L"\\KnownDlls32";
    UNICODE_STRING name;
    name.Buffer = wow64 ? narrow : native;
    name.Length = (USHORT)(wow64 ? sizeof narrow - sizeof(WCHAR) : sizeof native - sizeof(WCHAR));
    name.MaximumLength = (USHORT)(name.Length + sizeof(WCHAR));
    OBJECT_ATTRIBUTES attributes = {0};
    attributes.Length = sizeof attributes;
    attributes.ObjectName = &name;
    attributes.Attributes = OBJ_CASE_INSENSITIVE;
    return NtOpenDirectoryObject(&directory, DIRECTORY_QUERY, &attributes) >= 0 ? directory : NULL;
}

/* Append a name and its NUL. Returns the characters used so far, also when they no longer fit. */
static uint32_t append(dw_char *names, uint32_t capacity, uint32_t used, const UNICODE_STRING *name)
{
    uint32_t length = name->Length / (uint32_t)sizeof(WCHAR);
    if (used + length < capacity) {
        for (uint32_t i = 0; i < length; i++) {
            names[used + i] = name->Buffer[i];
        }
        names[used + length] = 0;
    }
    return used + length + 1;
}

/* The directory also holds a symbolic link, KnownDllPath. */
static bool is_section(const directory_entry *entry)
{
    static const WCHAR section[] = L"Section";
    if (entry->type.Length != sizeof section - sizeof(WCHAR)) {
        return false;
    }
    for (uint32_t i = 0; section[i] != 0; i++) {
        if (entry->type.Buffer[i] != section[i]) {
            return false;
        }
    }
    return true;
}

uint32_t dw_known_dlls(dw_char *names, uint32_t capacity)
{
    union {
        directory_entry entry;
        uint8_t bytes[KNOWN_DLL_ROOM];
    } one;
    HANDLE directory = open_known_dlls();
    ULONG context = 0, returned = 0;
    uint32_t used = 0;
    if (directory == NULL) {
        return 0;
    }
    /* One by one: Wine has nothing else. STATUS_NO_MORE_ENTRIES is negative, too. */
    for (BOOLEAN restart = TRUE;; restart = FALSE) {
        NTSTATUS status = NtQueryDirectoryObject(directory, &one, sizeof one, TRUE, restart, &context, &returned);
        if (status < 0) {
            break;
        }
        if (is_section(&one.entry)) {
            used = append(names, capacity, used, &one.entry.name);
        }
    }
    (void)CloseHandle(directory);
    return used;
}

int32_t dw_commit(uint64_t *limit, uint64_t *available, uint32_t *code)
{
    MEMORYSTATUSEX memory = {0};
    memory.dwLength = sizeof memory;
    *code = 0;
    if (!GlobalMemoryStatusEx(&memory)) {
        *code = GetLastError();
    }
    *limit = memory.ullTotalPageFile;
    *available = memory.ullAvailPageFile;
    return *code == 0 ? DW_OK : DW_REFUSED;
}

int32_t dw_elevation(uint32_t *type, uint32_t *elevated)
{
    HANDLE token = NULL;
    ULONG returned = 0;
    *type = *elevated = 0;
    if (NtOpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token) < 0) {
        return DW_NOT_HERE;
    }
    /* Both classes are one 32-bit number. */
    NTSTATUS status = NtQueryInformationToken(token, TokenElevationType, type, sizeof *type, &returned);
    if (status >= 0) {
        status = NtQueryInformationToken(token, TokenElevation, elevated, sizeof *elevated, &returned);
    }
    (void)CloseHandle(token);
    return status >= 0 ? DW_OK : DW_NOT_HERE;
}

int32_t dw_guard(void *process, void **job, uint32_t *code)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    *code = 0;
    *job = CreateJobObjectW(NULL, NULL);
    if (*job != NULL && SetInformationJobObject(*job, JobObjectExtendedLimitInformation, &limits, sizeof limits) &&
        AssignProcessToJobObject(*job, process)) {
        return DW_OK;
    }
    *code = GetLastError();
    if (*job != NULL) {
        (void)CloseHandle(*job);
        *job = NULL;
    }
    return DW_REFUSED;
}

void dw_unguard(void *job)
{
    (void)CloseHandle(job);
}
