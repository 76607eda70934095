/* What happens in a process: told by the debug API from outside, or by a vectored handler from within. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winternl.h>

#include <stdbool.h>

#include "depwalk.h"

NTSYSAPI PVOID NTAPI RtlGetCurrentPeb(VOID);

_Static_assert(offsetof(dw_event, text) == 72, "dw_event has no padding");

enum {
    FLG_SHOW_LDR_SNAPS = 0x2,
    PEB_GLOBAL_FLAG_32 = 0x68,
    PEB_GLOBAL_FLAG_64 = 0xBC,
    PROCESS_WOW64_INFORMATION = 26, /* for NtQueryInformationProcess: address of the 32-bit PEB */
    MOST_MODULES = 16384,
    MOST_WATCHED = 256,
    ANSI_ROOM = 2048, /* bytes; a frame of 4 KiB would need the C runtime's stack probe */
    DEBUG_PRINT = 0x40010006,
    DEBUG_PRINT_WIDE = 0x4001000A,
    THREAD_NAME = 0x406D1388
};

/* ---- exceptions, for both ways */

static void describe(dw_event *event, const EXCEPTION_RECORD *record)
{
    event->kind = DW_EVENT_EXCEPTION;
    event->code = record->ExceptionCode;
    event->address = (uintptr_t)record->ExceptionAddress;
    if ((record->ExceptionCode == STATUS_ACCESS_VIOLATION || record->ExceptionCode == STATUS_IN_PAGE_ERROR) &&
        record->NumberParameters >= 2) {
        event->access = (uint32_t)record->ExceptionInformation[0];
        event->target = record->ExceptionInformation[1];
    }
}

/* The base of the image that holds the address, and the bytes there up to the end of what can be read. */
static void locate(dw_event *event, HANDLE process)
{
    MEMORY_BASIC_INFORMATION region;
    void *address = (void *)(uintptr_t)event->address;
    if (VirtualQueryEx(process, address, &region, sizeof region) == 0) {
        return;
    }
    event->base = region.Type == MEM_IMAGE ? (uintptr_t)region.AllocationBase : 0;
    for (SIZE_T wanted = DW_EVENT_BYTES; wanted > 0; wanted--) {
        SIZE_T got = 0;
        if (ReadProcessMemory(process, address, event->bytes, wanted, &got)) {
            event->byte_count = (uint32_t)got;
            return;
        }
    }
}

static void clear(dw_event *event)
{
    for (size_t i = 0; i < offsetof(dw_event, text); i++) {
        ((uint8_t *)event)[i] = 0;
    }
}

/* ---- from outside */

static void path_of_file(dw_event *event, HANDLE file)
{
    if (file == NULL || file == INVALID_HANDLE_VALUE) {
        return;
    }
    DWORD length = GetFinalPathNameByHandleW(file, event->text, DW_EVENT_TEXT, 0);
    event->text_length = length < DW_EVENT_TEXT ? length : 0;
    (void)CloseHandle(file);
}

static void output(dw_event *event, HANDLE process, const OUTPUT_DEBUG_STRING_INFO *info)
{
    SIZE_T got = 0;
    char bytes[ANSI_ROOM];
    SIZE_T characters = info->nDebugStringLength < ANSI_ROOM ? info->nDebugStringLength : ANSI_ROOM;
    if (info->fUnicode) {
        if (ReadProcessMemory(process, info->lpDebugStringData, event->text, characters * sizeof(WCHAR), &got)) {
            event->text_length = (uint32_t)(got / sizeof(WCHAR));
        }
    } else if (ReadProcessMemory(process, info->lpDebugStringData, bytes, characters, &got)) {
        int written = MultiByteToWideChar(CP_ACP, 0, bytes, (int)got, event->text, DW_EVENT_TEXT);
        event->text_length = (uint32_t)written;
    }
    while (event->text_length > 0 && event->text[event->text_length - 1] == 0) {
        event->text_length--;
    }
}

/* What needs a look into the process. A process that refuses it is told of without. */
static void look(dw_event *event, const DEBUG_EVENT *from)
{
    HANDLE process = OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, FALSE, from->dwProcessId);
    if (process == NULL) {
        return;
    }
    if (event->kind == DW_EVENT_EXCEPTION) {
        locate(event, process);
    } else {
        output(event, process, &from->u.DebugString);
    }
    (void)CloseHandle(process);
}

static void translate(dw_event *event, const DEBUG_EVENT *from)
{
    clear(event);
    event->process = from->dwProcessId;
    event->thread = from->dwThreadId;
    switch (from->dwDebugEventCode) {
    case CREATE_PROCESS_DEBUG_EVENT:
        event->kind = DW_EVENT_PROCESS;
        event->base = (uintptr_t)from->u.CreateProcessInfo.lpBaseOfImage;
        path_of_file(event, from->u.CreateProcessInfo.hFile);
        break;
    case LOAD_DLL_DEBUG_EVENT:
        event->kind = DW_EVENT_MODULE;
        event->base = (uintptr_t)from->u.LoadDll.lpBaseOfDll;
        path_of_file(event, from->u.LoadDll.hFile);
        break;
    case UNLOAD_DLL_DEBUG_EVENT:
        event->kind = DW_EVENT_UNMAPPED;
        event->base = (uintptr_t)from->u.UnloadDll.lpBaseOfDll;
        break;
    case EXCEPTION_DEBUG_EVENT:
        describe(event, &from->u.Exception.ExceptionRecord);
        event->first_chance = from->u.Exception.dwFirstChance != 0;
        look(event, from);
        break;
    case OUTPUT_DEBUG_STRING_EVENT:
        event->kind = DW_EVENT_OUTPUT;
        look(event, from);
        break;
    case EXIT_PROCESS_DEBUG_EVENT:
        event->kind = DW_EVENT_EXIT;
        event->code = from->u.ExitProcess.dwExitCode;
        break;
    default:
        break;
    }
}

int32_t dw_debug_wait(dw_event *event, uint32_t milliseconds, uint32_t *code)
{
    DEBUG_EVENT from;
    *code = 0;
    if (!WaitForDebugEvent(&from, milliseconds)) {
        *code = GetLastError();
        return *code == ERROR_SEM_TIMEOUT ? DW_TIMED_OUT : DW_REFUSED;
    }
    translate(event, &from);
    return DW_OK;
}

int32_t dw_debug_continue(const dw_event *event, uint32_t handled, uint32_t *code)
{
    bool exception = event->kind == DW_EVENT_EXCEPTION;
    DWORD status = exception && !handled ? (DWORD)DBG_EXCEPTION_NOT_HANDLED : (DWORD)DBG_CONTINUE;
    *code = 0;
    if (ContinueDebugEvent(event->process, event->thread, status)) {
        return DW_OK;
    }
    *code = GetLastError();
    return DW_REFUSED;
}

static bool set_snaps(HANDLE process, uintptr_t flag_address)
{
    void *address = (void *)flag_address;
    uint32_t flags = 0;
    if (!ReadProcessMemory(process, address, &flags, sizeof flags, NULL)) {
        return false;
    }
    flags |= FLG_SHOW_LDR_SNAPS;
    return WriteProcessMemory(process, address, &flags, sizeof flags, NULL) != 0;
}

/* A 32-bit process under a 64-bit Windows has two PEBs; each loader in it reads its own. */
int32_t dw_debug_snaps(uint32_t process, uint32_t *code)
{
    PROCESS_BASIC_INFORMATION own;
    uintptr_t narrow = 0;
    bool set = false;
    HANDLE handle = OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ | PROCESS_VM_WRITE | PROCESS_VM_OPERATION,
                                FALSE, process);
    *code = 0;
    if (handle == NULL) {
        *code = GetLastError();
        return DW_REFUSED;
    }
    if (NtQueryInformationProcess(handle, ProcessBasicInformation, &own, sizeof own, NULL) >= 0) {
        uintptr_t offset = sizeof(void *) == 8 ? PEB_GLOBAL_FLAG_64 : PEB_GLOBAL_FLAG_32;
        set = set_snaps(handle, (uintptr_t)own.PebBaseAddress + offset);
    }
    if (sizeof(void *) == 8 && NtQueryInformationProcess(handle, (PROCESSINFOCLASS)PROCESS_WOW64_INFORMATION, &narrow,
                                                         sizeof narrow, NULL) >= 0 && narrow != 0) {
        set = set_snaps(handle, narrow + PEB_GLOBAL_FLAG_32) && set;
    }
    if (!set) {
        *code = GetLastError();
    }
    (void)CloseHandle(handle);
    return set ? DW_OK : DW_REFUSED;
}

/* ---- from within */

/* The core's only state: a vectored handler gets no argument of its own. */
static struct {
    dw_event *room;
    HANDLE file;
    LONG left;
    volatile LONG busy;
} watch;

/* The path of the image at a base. Without the loader lock, which a DllMain elsewhere may hold: the list is only read. */
static void path_of_module(dw_event *event)
{
    const PEB *peb = RtlGetCurrentPeb();
    const LIST_ENTRY *head = &peb->Ldr->InMemoryOrderModuleList;
    const LIST_ENTRY *link = head->Flink;
    for (uint32_t i = 0; i < MOST_MODULES && link != head && link != NULL; i++, link = link->Flink) {
        const LDR_DATA_TABLE_ENTRY *entry = CONTAINING_RECORD(link, LDR_DATA_TABLE_ENTRY, InMemoryOrderLinks);
        if ((uintptr_t)entry->DllBase != event->base) {
            continue;
        }
        uint32_t length = entry->FullDllName.Length / (uint32_t)sizeof(WCHAR);
        event->text_length = length < DW_EVENT_TEXT ? length : DW_EVENT_TEXT;
        for (uint32_t c = 0; c < event->text_length; c++) {
            event->text[c] = entry->FullDllName.Buffer[c];
        }
        return;
    }
}

static void record(const EXCEPTION_RECORD *exception)
{
    dw_event *event = watch.room;
    DWORD written = 0;
    clear(event);
    event->process = GetCurrentProcessId();
    event->thread = GetCurrentThreadId();
    event->first_chance = 1;
    describe(event, exception);
    locate(event, GetCurrentProcess());
    if (event->base != 0) {
        path_of_module(event);
    }
    DWORD size = (DWORD)(offsetof(dw_event, text) + event->text_length * sizeof(dw_char));
    (void)WriteFile(watch.file, event, size, &written, NULL);
}

/* An exception in here, or one of another thread meanwhile, is passed over. */
static LONG NTAPI on_exception(EXCEPTION_POINTERS *pointers)
{
    DWORD code = pointers->ExceptionRecord->ExceptionCode;
    bool message = code == DEBUG_PRINT || code == DEBUG_PRINT_WIDE || code == THREAD_NAME;
    if (!message && InterlockedExchange(&watch.busy, 1) == 0) {
        if (watch.left > 0) {
            watch.left--;
            record(pointers->ExceptionRecord);
        }
        (void)InterlockedExchange(&watch.busy, 0);
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

int32_t dw_watch(dw_event *room, void *file)
{
    watch.room = room;
    watch.file = file;
    watch.left = MOST_WATCHED;
    return AddVectoredExceptionHandler(1, on_exception) != NULL ? DW_OK : DW_REFUSED;
}
