/* Whether a file loads: the process that tries it is started, watched and, if it dies, asked again where it died. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "check.h"

enum {
    SECONDS_MASK = 0xFFFF,
    IS_DLL = 0x2000,        /* IMAGE_FILE_DLL */
    MOST_ROUNDS = 8,        /* how deep it is followed into imports that crash or hang */
    MOST_STARTS = 3,        /* attempts: an antivirus program may hold a program for a moment */
    START_PAUSE = 100,      /* milliseconds */
    ATTRIBUTE_WORDS = 64
};

typedef BOOL(WINAPI *is_wow64_process_2)(HANDLE process, USHORT *machine, USHORT *native);
typedef void (*any_function)(void);

bool check_is_of_windows(const dw_char *path)
{
    dw_char windows[MAX_PATH];
    UINT length = GetSystemWindowsDirectoryW(windows, MAX_PATH);
    if (length == 0 || length >= MAX_PATH) {
        return false;
    }
    for (UINT i = 0; i < length; i++) {
        dw_char one[2] = {windows[i], 0}, other[2] = {path[i], 0};
        if (path[i] == 0 || !check_is_same_name(one, other)) {
            return false;
        }
    }
    return path[length] == '\\' || windows[length - 1] == '\\';
}

static void set_fault(check_room *room, uint32_t kind, uint32_t code, const dw_char *module)
{
    room->fault.kind = kind;
    room->fault.code = code;
    check_copy(room->fault.module, CHECK_PATH, module);
}

/* ---- before anything is started */

/* Copy the directories, absolute and each ended by 0. False, with the fault, if one is none. */
static bool take_directories(check_room *room, const dw_char *dirs)
{
    uint32_t used = 0;
    while (dirs != NULL && *dirs != 0) {
        check_text one = check_begin(room->other_path, CHECK_PATH);
        dw_char letter[2] = {0, 0};
        for (; *dirs != 0 && *dirs != '|'; dirs++) {
            letter[0] = *dirs;
            check_add_wide(&one, letter);
        }
        dirs += *dirs == '|';
        if (one.length == 0) {
            continue;
        }
        DWORD attributes = GetFileAttributesW(room->other_path);
        DWORD room_left = CHECK_PATH - 1 - used;
        DWORD length = GetFullPathNameW(room->other_path, room_left, room->directories + used, NULL);
        if (attributes == INVALID_FILE_ATTRIBUTES || (attributes & FILE_ATTRIBUTE_DIRECTORY) == 0 || length == 0 ||
            length >= room_left) {
            set_fault(room, CHECK_NO_DIRECTORY, ERROR_PATH_NOT_FOUND, room->other_path);
            return false;
        }
        used += length + 1;
        room->directories[used] = 0;
    }
    return true;
}

/* The processor of this machine, whatever this process is emulated as. */
static uint32_t native_machine(void)
{
    USHORT process = 0, native = 0;
    SYSTEM_INFO info;
    HMODULE kernel32 = GetModuleHandleW(L"kernel32.dll");
    is_wow64_process_2 ask =
        kernel32 ? (is_wow64_process_2)(any_function)GetProcAddress(kernel32, "IsWow64Process2") : NULL;
    if (ask != NULL && ask(GetCurrentProcess(), &process, &native)) {
        return native;
    }
    GetNativeSystemInfo(&info);
    return info.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_AMD64 ? CHECK_AMD64 : CHECK_I386;
}

static bool runs_here(uint32_t machine)
{
    uint32_t native = native_machine();
    if (machine == CHECK_AMD64 && native == CHECK_ARM64) {
        return dw_windows_version() >= DW_VERSION(10, 0, 22000);
    }
    return machine == native || machine == CHECK_I386;
}

/* Read the file. True if there is something to try. */
static bool examine(check_room *room)
{
    dw_image image;
    uint32_t code = 0;
    DWORD attributes = GetFileAttributesW(room->path);
    bool directory = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    int32_t status = directory ? DW_NOT_A_FILE : dw_open(&image, room->path, &code);
    if (status != DW_OK) {
        bool corrupt = status == DW_EMPTY || status == DW_NOT_PE;
        set_fault(room, corrupt ? CHECK_CORRUPT : CHECK_UNREADABLE, corrupt ? ERROR_BAD_EXE_FORMAT : code, room->path);
        return false;
    }
    room->machine = room->fault.machine = image.machine;
    room->is_program = (image.characteristics & IS_DLL) == 0;
    bool damaged = check_is_damaged(&image);
    dw_close(&image);
    if (damaged) {
        set_fault(room, CHECK_CORRUPT, ERROR_BAD_EXE_FORMAT, room->path);
    } else if (check_architecture(room->machine) == NULL || !runs_here(room->machine)) {
        set_fault(room, CHECK_WRONG_MACHINE, ERROR_BAD_EXE_FORMAT, room->path);
    }
    return room->fault.kind == CHECK_NO_FAULT;
}

/* The path of the program for the file's architecture, into room->program. */
static bool find_checker(check_room *room, bool is_checker)
{
    static const char mark[] = "an address in this module";
    HMODULE own = NULL;
    DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    (void)GetModuleHandleExW(flags, (LPCWSTR)(const void *)mark, &own);
    DWORD length = GetModuleFileNameW(own, room->program, CHECK_PATH);
    if (is_checker && room->machine == check_own_machine()) {
        return length != 0;
    }
    dw_char *name = room->program + (check_name(room->program) - room->program);
    check_text text = check_begin(name, CHECK_PATH - (uint32_t)(name - room->program));
    check_add(&text, "depwalk-check-");
    check_add(&text, check_architecture(room->machine));
    check_add(&text, ".exe");
    if (GetFileAttributesW(room->program) != INVALID_FILE_ATTRIBUTES) {
        return true;
    }
    set_fault(room, CHECK_NO_PROGRAM, ERROR_FILE_NOT_FOUND, room->program);
    return false;
}

/* ---- the process */

typedef struct child {
    HANDLE process;
    HANDLE thread;
    void *job;
} child;

static void make_command(check_room *room, HANDLE section)
{
    check_text command = check_begin(room->other_path, CHECK_PATH);
    check_add(&command, "\"");
    check_add_wide(&command, room->program);
    check_add(&command, "\" --child ");
    check_add_number(&command, (uint32_t)(uintptr_t)section); /* handles have 32 bits in every process */
}

/* Start the program at room->program with nothing but the section, held. False, with Windows' code, if it refuses. */
static bool start(check_room *room, HANDLE section, child *made, uint32_t *code)
{
    uint64_t attributes[ATTRIBUTE_WORDS];
    SIZE_T size = sizeof attributes;
    STARTUPINFOEXW info = {0};
    PROCESS_INFORMATION process = {0};
    info.StartupInfo.cb = sizeof info;
    info.StartupInfo.dwFlags = STARTF_USESTDHANDLES; /* none: what it prints goes nowhere */
    info.lpAttributeList = (LPPROC_THREAD_ATTRIBUTE_LIST)(void *)attributes;
    make_command(room, section);
    if (!InitializeProcThreadAttributeList(info.lpAttributeList, 1, 0, &size)) {
        *code = GetLastError();
        return false;
    }
    BOOL started = UpdateProcThreadAttribute(info.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &section,
                                             sizeof section, NULL, NULL) &&
                   CreateProcessW(room->program, room->other_path, NULL, NULL, TRUE,
                                  CREATE_SUSPENDED | CREATE_NO_WINDOW | EXTENDED_STARTUPINFO_PRESENT, NULL, NULL,
                                  &info.StartupInfo, &process);
    *code = started ? 0 : GetLastError();
    DeleteProcThreadAttributeList(info.lpAttributeList);
    made->process = process.hProcess;
    made->thread = process.hThread;
    return started != 0;
}

/* Let the program try it. DW_OK if it ended, with its exit code; DW_TIMED_OUT; DW_REFUSED if it did not start. */
static int32_t run(check_room *room, HANDLE section, uint32_t milliseconds, uint32_t *code)
{
    child made = {NULL, NULL, NULL};
    uint32_t refused;
    room->stage = CHECK_BEGAN;
    room->fault.kind = CHECK_NO_FAULT;
    room->event.kind = DW_EVENT_OTHER;
    for (uint32_t attempt = 1; !start(room, section, &made, code); attempt++) {
        if (attempt == MOST_STARTS) {
            return DW_REFUSED;
        }
        Sleep(START_PAUSE);
    }
    (void)dw_guard(made.process, &made.job, &refused); /* a Windows 7 has no job within a job: then without */
    (void)ResumeThread(made.thread);
    bool ended = WaitForSingleObject(made.process, milliseconds) == WAIT_OBJECT_0;
    if (!ended) {
        (void)TerminateProcess(made.process, 0);
    }
    DWORD exit_code = 0;
    (void)GetExitCodeProcess(made.process, &exit_code);
    *code = exit_code;
    if (made.job != NULL) {
        dw_unguard(made.job);
    }
    (void)CloseHandle(made.thread);
    (void)CloseHandle(made.process);
    return ended ? DW_OK : DW_TIMED_OUT;
}

/* The file that holds the instruction at which the process ended, into room->here; false if that cannot be told. */
static bool place_of_death(check_room *room, uint32_t exit_code)
{
    const dw_event *event = &room->event;
    if (event->kind != DW_EVENT_EXCEPTION || event->code != exit_code || event->base == 0 || event->text_length == 0 ||
        event->text_length >= DW_EVENT_TEXT) {
        return false;
    }
    room->event.text[event->text_length] = 0;
    check_copy(room->here, CHECK_PATH, room->event.text);
    return !check_is_of_windows(room->here);
}

/* The deepest module that ends the process alike when it is loaded alone: one import after the other, each time in a
 * new process, until one dies or hangs while all that it imports loads. False if that cannot be told. */
static bool find_deadly(check_room *room, HANDLE section, uint32_t milliseconds, int32_t as)
{
    uint32_t code;
    check_copy(room->start, CHECK_PATH, room->path);
    room->start_needed_by[0] = 0;
    room->mode = CHECK_WALK;
    for (uint32_t round = 0; round < MOST_ROUNDS; round++) {
        int32_t status = run(room, section, milliseconds, &code);
        if (room->stage == CHECK_DONE) {
            return room->fault.kind == CHECK_NO_FAULT;
        }
        if (status != as || room->stage != CHECK_WALKING || room->tried_path[0] == 0) {
            return false;
        }
        check_copy(room->start, CHECK_PATH, room->tried_path);
        check_copy(room->start_needed_by, CHECK_PATH, room->here);
    }
    return false;
}

static void tell_death(check_room *room, HANDLE section, uint32_t milliseconds, int32_t status, uint32_t exit_code)
{
    uint32_t kind = status == DW_OK ? CHECK_CRASHED : CHECK_HUNG;
    if (status == DW_OK && place_of_death(room, exit_code)) {
        set_fault(room, kind, exit_code, room->here);
        return;
    }
    bool found = find_deadly(room, section, milliseconds, status);
    set_fault(room, kind, status == DW_OK ? exit_code : 0, found ? room->start : L"");
    check_copy(room->fault.needed_by, CHECK_PATH, found ? room->start_needed_by : L"");
}

static void try_load(check_room *room, HANDLE section, uint32_t milliseconds)
{
    uint32_t code = 0;
    int32_t status = run(room, section, milliseconds, &code);
    if (room->stage == CHECK_DONE) {
        return;
    }
    if (status == DW_REFUSED || room->stage == CHECK_BEGAN) {
        set_fault(room, CHECK_NOT_STARTED, code, room->program);
    } else {
        tell_death(room, section, milliseconds, status, code);
    }
}

/* ---- the interface */

static check_room *open_room(HANDLE *section)
{
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    *section = CreateFileMappingW(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0, sizeof(check_room), NULL);
    check_room *room = *section ? MapViewOfFile(*section, FILE_MAP_WRITE, 0, 0, sizeof(check_room)) : NULL;
    if (room == NULL && *section != NULL) {
        (void)CloseHandle(*section);
    }
    return room;
}

static void check(check_room *room, HANDLE section, const dw_char *path, const dw_char *dirs, uint32_t flags,
                  bool is_checker)
{
    uint32_t seconds = flags & SECONDS_MASK;
    room->version = DW_ABI_VERSION;
    DWORD length = GetFullPathNameW(path, CHECK_PATH, room->path, NULL);
    if (length == 0 || length >= CHECK_PATH) {
        set_fault(room, CHECK_UNREADABLE, ERROR_FILENAME_EXCED_RANGE, path);
    } else if (take_directories(room, dirs) && examine(room) && find_checker(room, is_checker)) {
        try_load(room, section, (seconds ? seconds : DW_CHECK_SECONDS) * 1000);
    }
}

int32_t check_run(const dw_char *path, const dw_char *dirs, uint32_t flags, bool is_checker, dw_check_result *result)
{
    HANDLE section;
    if (result->size < sizeof *result) {
        return DW_INVALID;
    }
    check_room *room = open_room(&section);
    if (room == NULL) {
        result->family = DW_FAMILY_UNKNOWN;
        result->code = GetLastError();
        result->module[0] = result->needed_by[0] = result->sentence[0] = result->url[0] = 0;
        return result->status = DW_REFUSED;
    }
    check(room, section, path, dirs, flags, is_checker);
    check_tell(room, result);
    (void)UnmapViewOfFile(room);
    (void)CloseHandle(section);
    return result->status;
}

int32_t dw_check(const dw_char *path, const dw_char *dirs, uint32_t flags, dw_check_result *result)
{
    return check_run(path, dirs, flags, false, result);
}

uint32_t dw_check_text(const dw_char *path, const dw_char *dirs, uint32_t flags, dw_char *text, uint32_t capacity)
{
    dw_check_result *result = VirtualAlloc(NULL, sizeof *result, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    uint32_t family = DW_FAMILY_UNKNOWN;
    if (capacity > 0) {
        text[0] = 0;
    }
    if (result == NULL) {
        return family;
    }
    result->size = sizeof *result;
    (void)dw_check(path, dirs, flags, result);
    family = result->family;
    if (capacity > 0) {
        check_copy(text, capacity, result->sentence);
    }
    (void)VirtualFree(result, 0, MEM_RELEASE);
    return family;
}
