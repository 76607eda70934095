/* depwalk: the public C interface of the core.
 *
 * The core reads PE files, asks the processor and calls the Windows loader. It keeps no state, allocates no memory and
 * prints nothing: a caller owns every struct and every array. (dw_check gives back before it returns what it works in.)
 * Each listing function returns how many entries there are and stores at most `capacity` of them, so that a first call
 * with capacity 0 counts and a second one fills.
 *
 * Files are hostile: every read is checked against the file's size and every loop is bounded by it. What a file promises
 * but does not hold is recorded in dw_image.defects.
 */
#ifndef DEPWALK_H
#define DEPWALK_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#  if defined(DW_STATIC) /* compiled into the program itself */
#    define DW_API
#  elif defined(DW_BUILD)
#    define DW_API __declspec(dllexport)
#  else
#    define DW_API __declspec(dllimport)
#  endif
typedef wchar_t dw_char;
#else
#  if defined(__GNUC__)
#    define DW_API __attribute__((visibility("default")))
#  else
#    define DW_API
#  endif
typedef char dw_char;
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* cffi reads from here to the mark at the end. */

#define DW_ABI_VERSION 3
#define DW_MAX_DEFECTS 16
#define DW_MAX_NAME 32767
#define DW_DIRECTORIES 16
#define DW_EVENT_TEXT 4096
#define DW_EVENT_BYTES 16
#define DW_NO_ROW 0xFFFF
#define DW_CHECK_NAME 260
#define DW_CHECK_TEXT 1024

/* What a function answers. */
enum {
    DW_OK = 0,
    DW_CANNOT_OPEN = 1,    /* the system refused; its error code is beside the status */
    DW_EMPTY = 2,          /* the file has no bytes */
    DW_NOT_PE = 3,         /* the file does not begin with "MZ" */
    DW_TOO_LARGE = 4,      /* more bytes than this process can map */
    DW_NOT_HERE = 5,       /* this system or processor has no such thing */
    DW_REFUSED = 6,        /* a Windows function failed; its error code is beside the status */
    DW_NOT_A_FILE = 7,     /* a device, a pipe, or another thing without an end */
    DW_TIMED_OUT = 8,      /* nothing happened in the time given */
    DW_INVALID = 9         /* an argument is none that the function takes */
};

/* What is wrong with a file. The loader refuses the kinds below 100; the others only limit what can be read. */
enum {
    DW_DEFECT_CUT_DOS_HEADER = 1,
    DW_DEFECT_NO_PE_SIGNATURE = 2,
    DW_DEFECT_CUT_HEADERS = 3,
    DW_DEFECT_CUT_SECTION_TABLE = 4,
    DW_DEFECT_CUT_SECTION = 5,
    DW_DEFECT_BAD_MAGIC = 6,
    DW_DEFECT_MACHINE_AND_MAGIC_DISAGREE = 7,
    DW_DEFECT_BAD_ALIGNMENT = 8,
    DW_DEFECT_BAD_SECTION_ADDRESS = 9,
    DW_DEFECT_BAD_IMAGE_SIZE = 10,
    DW_DEFECT_UNREADABLE_IMPORTS = 11,
    DW_DEFECT_UNREADABLE_EXPORTS = 101,
    DW_DEFECT_UNREADABLE_DELAY_IMPORTS = 102,
    DW_DEFECT_UNREADABLE_RESOURCES = 103,
    DW_DEFECT_UNREADABLE_LOAD_CONFIG = 104,
    DW_DEFECT_UNREADABLE_CLR_HEADER = 105,
    DW_DEFECT_UNREADABLE_BOUND_IMPORTS = 106,
    DW_DEFECT_UNSORTED_EXPORTS = 107
};

/* Optional-header data directories that depwalk reads. */
enum {
    DW_DIRECTORY_EXPORT = 0,
    DW_DIRECTORY_IMPORT = 1,
    DW_DIRECTORY_RESOURCE = 2,
    DW_DIRECTORY_EXCEPTION = 3,
    DW_DIRECTORY_SECURITY = 4,
    DW_DIRECTORY_RELOCATION = 5,
    DW_DIRECTORY_TLS = 9,
    DW_DIRECTORY_LOAD_CONFIG = 10,
    DW_DIRECTORY_BOUND_IMPORT = 11,
    DW_DIRECTORY_DELAY_IMPORT = 13,
    DW_DIRECTORY_CLR = 14
};

typedef struct dw_defect {
    uint64_t offset;        /* bytes from the start of the file where the data should have been */
    uint32_t kind;          /* DW_DEFECT_... */
    uint32_t rva;           /* the same place in the loaded image, 0 in the headers */
} dw_defect;

/* `length` bytes at `offset` from the start of the file; there is no terminator within. */
typedef struct dw_text {
    uint32_t offset;
    uint32_t length;
} dw_text;

typedef struct dw_directory {
    uint32_t rva;           /* from the start of the file for DW_DIRECTORY_SECURITY */
    uint32_t size;
} dw_directory;

/* The facts of one PE file. Fields that a cut file does not hold are 0. */
typedef struct dw_image {
    const uint8_t *data;
    uint64_t size;          /* bytes in the file */
    uint64_t image_base;
    uint64_t chpe_metadata; /* address of the hybrid (ARM64EC, ARM64X) metadata, 0 if none */
    uint32_t section_table; /* file offset */
    uint32_t section_count;
    uint32_t timestamp;
    uint32_t checksum;
    uint32_t size_of_image;
    uint32_t size_of_headers;
    uint32_t section_alignment;
    uint32_t file_alignment;
    uint32_t entry_point;   /* RVA, 0 if none */
    uint32_t clr_flags;     /* COMIMAGE_FLAGS_..., valid if has_clr */
    uint32_t directory_count;
    uint32_t defect_count;
    uint16_t machine;       /* IMAGE_FILE_MACHINE_... */
    uint16_t magic;         /* 0x10B PE32, 0x20B PE32+ */
    uint16_t characteristics;
    uint16_t dll_characteristics;
    uint16_t subsystem;
    uint16_t linker_major, linker_minor;
    uint16_t os_major, os_minor;
    uint16_t subsystem_major, subsystem_minor;
    uint16_t dependent_load_flags;
    uint16_t has_clr;
    uint16_t mapped;        /* 1 if dw_close has something to unmap */
    dw_directory directories[DW_DIRECTORIES];
    dw_defect defects[DW_MAX_DEFECTS];
} dw_image;

/* One imported DLL. Its symbols are entries [first_symbol, first_symbol + symbol_count) of the symbol array. */
typedef struct dw_import {
    dw_text dll;
    uint32_t first_symbol;
    uint32_t symbol_count;
    uint32_t skipped;       /* 1 if the loader passes over this entry because its address table is empty */
    uint32_t timestamp;     /* nonzero if bound */
} dw_import;

typedef struct dw_symbol {
    dw_text name;           /* length 0 if imported by ordinal */
    uint16_t hint;
    uint16_t ordinal;       /* valid if name.length is 0 */
} dw_symbol;

typedef struct dw_counts {
    uint32_t dlls;
    uint32_t symbols;
} dw_counts;

typedef struct dw_export_info {
    dw_text dll_name;       /* the name the file was linked as */
    uint32_t base;          /* first ordinal */
    uint32_t address_count;
    uint32_t name_count;
    uint32_t present;       /* 0 if the file has no export directory */
} dw_export_info;

typedef struct dw_export_address {
    uint32_t rva;           /* 0 if this ordinal is not in use */
    dw_text forwarder;      /* length 0 if not forwarded */
} dw_export_address;

typedef struct dw_export_name {
    dw_text name;
    uint32_t index;         /* into the address table; ordinal is base + index */
} dw_export_name;

/* How an import meets an export. */
enum {
    DW_RESOLVED = 0,
    DW_UNRESOLVED = 1,      /* the exporter has no such name or ordinal */
    DW_FORWARDED = 2,       /* found, and lies in another DLL */
    DW_NO_EXPORTS = 3       /* the exporter has no export directory at all */
};

typedef struct dw_binding {
    dw_text forwarder;      /* valid if result is DW_FORWARDED */
    uint32_t symbol;        /* index into the importer's symbols of this DLL, from 0 */
    uint32_t result;        /* DW_RESOLVED, ... */
    uint32_t rva;
} dw_binding;

typedef struct dw_section {
    uint8_t name[8];
    uint32_t rva;
    uint32_t virtual_size;
    uint32_t offset;
    uint32_t raw_size;
    uint32_t characteristics;
} dw_section;

typedef struct dw_resource {
    uint32_t id;            /* 0xFFFFFFFF if the resource has a name instead */
    uint32_t language;
    uint32_t offset;        /* file offset */
    uint32_t size;
} dw_resource;

/* The version of this interface: a caller built for another one must not go on. */
DW_API uint32_t dw_abi_version(void);

/* Read the headers of a file and keep it mapped until dw_close. `path` is UTF-16 on Windows, bytes elsewhere.
 * Returns DW_OK, also for a damaged file; DW_CANNOT_OPEN with the system's code in *os_error; DW_EMPTY; DW_NOT_PE;
 * DW_TOO_LARGE. Only after DW_OK is there something to close. */
DW_API int32_t dw_open(dw_image *image, const dw_char *path, uint32_t *os_error);

/* The same for a file that is already in memory; the caller keeps `data` alive while the image is in use. */
DW_API int32_t dw_parse(dw_image *image, const uint8_t *data, uint64_t size);

DW_API void dw_close(dw_image *image);

/* Where the file holds the byte of an RVA; 0 if it does not. */
DW_API uint64_t dw_offset(const dw_image *image, uint32_t rva);

DW_API uint32_t dw_sections(const dw_image *image, dw_section *sections, uint32_t capacity);

/* Imported DLLs with all their symbols, from directory DW_DIRECTORY_IMPORT or DW_DIRECTORY_DELAY_IMPORT. */
DW_API dw_counts dw_imports(dw_image *image, uint32_t directory, dw_import *dlls, uint32_t dll_capacity,
                            dw_symbol *symbols, uint32_t symbol_capacity);

/* Names in the bound-import directory: information only, today's loader ignores it. */
DW_API uint32_t dw_bound_imports(dw_image *image, dw_text *names, uint32_t capacity);

DW_API dw_export_info dw_exports(dw_image *image);
DW_API uint32_t dw_export_addresses(dw_image *image, dw_export_address *addresses, uint32_t capacity);
DW_API uint32_t dw_export_names(dw_image *image, dw_export_name *names, uint32_t capacity);

/* Look up one export as the loader does: by name from `hint` on, or by ordinal if length is 0. */
DW_API dw_binding dw_lookup(dw_image *exporter, const char *name, uint32_t length, uint32_t hint, uint32_t ordinal);

/* Match `count` symbols that dw_imports listed against an exporter. Stores those that are not simply resolved: missing
 * ones and forwarded ones. Returns how many there are. */
DW_API uint32_t dw_match(const dw_image *importer, const dw_symbol *symbols, uint32_t count, dw_image *exporter,
                         dw_binding *bindings, uint32_t capacity);

/* Resources of one type (16 version, 24 manifest), every id and language. */
DW_API uint32_t dw_resources(dw_image *image, uint32_t type, dw_resource *resources, uint32_t capacity);

/* Texts of a section that are names of DLLs, up to and with ".dll", in bytes of ASCII or of UTF-16, behind which a zero
 * stands: what the file may load by name. None in a section that is not there. */
DW_API uint32_t dw_dll_names(const dw_image *image, uint32_t section, dw_text *names, uint32_t capacity);

/* Raw answers of the processor: EAX, EBX, ECX, EDX. DW_NOT_HERE if it is no x86. */
DW_API int32_t dw_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);

/* An extended control register. Only to be asked when CPUID leaf 1 reports OSXSAVE: the instruction faults otherwise. */
DW_API int32_t dw_xgetbv(uint32_t index, uint64_t *value);

/* One instruction of x86. */
typedef struct dw_instruction {
    uint64_t offset;        /* bytes from the start of the code */
    uint16_t row;           /* of data/isa.toml, counted through the file; DW_NO_ROW if none fits */
    uint8_t length;         /* bytes; 1 for bytes that are no whole instruction */
    uint8_t encoding;       /* 0 legacy, 1 VEX, 2 EVEX, 3 XOP, 4 REX2 */
    uint32_t reserved;
} dw_instruction;

/* The instructions of `size` bytes of code of 32 or 64 bits, one after the other. Returns how many there are. */
DW_API uint64_t dw_instructions(const uint8_t *code, uint64_t size, uint32_t bits, dw_instruction *instructions,
                                uint64_t capacity);

/* What an image's code contains. */
typedef struct dw_contents {
    uint64_t code;          /* bytes that were read as code */
    uint64_t instructions;
    uint64_t unknown;       /* of them, in no row of data/isa.toml */
    uint32_t functions;     /* pieces of code: those that are listed, and those that calls, jumps and pointers lead to */
    uint32_t listed;        /* of them, by the exception directory */
    uint32_t asking;        /* of them, with CPUID or XGETBV in them */
    uint32_t reserved;
} dw_contents;

/* How much one instruction set is used. */
typedef struct dw_isa_use {
    uint64_t instructions;
    uint32_t functions;
    uint32_t first;         /* RVA of the first such instruction */
} dw_isa_use;

/* Read all code of an x86 image. `room` are dw_contained_room bytes, and `uses` one entry for each set, the distinct
 * values of `is` in data/isa.toml in their order; both all zeros at first. Instructions that other processors execute as
 * BSF or BSR do not count. */
DW_API uint64_t dw_contained_room(const dw_image *image);
DW_API dw_contents dw_contained(const dw_image *image, uint8_t *room, dw_isa_use *uses, uint32_t capacity);

/* What the loader, or the runtime that it starts, calls. */
enum {
    DW_ROOT_NONE = 0,
    DW_ROOT_TLS = 1,        /* a TLS callback */
    DW_ROOT_ENTRY = 2,      /* the entry point */
    DW_ROOT_INITIALISER = 3, /* an entry of a table of initialisers or constructors */
    DW_ROOT_EXPORT = 4      /* what other modules call */
};

/* The first instruction of a set in a function that runs at load before a question was asked. */
typedef struct dw_need {
    uint32_t rva;           /* of the instruction */
    uint32_t function;      /* RVA where its function begins */
    uint32_t caller;        /* RVA where the function begins that led there first; 0 for what the loader calls */
    uint32_t root;          /* RVA of what the loader or the runtime calls */
    uint32_t kind;          /* DW_ROOT_... of that */
    uint32_t set;           /* as in dw_contained */
    uint32_t certain;       /* 1 if such an instruction of the function runs whatever branches are taken */
    uint32_t mixed;         /* 1 if it is VEX or EVEX and the function has SSE too: it chooses by itself */
} dw_need;

typedef struct dw_reach {
    uint32_t needs;
    uint32_t functions;     /* that can be reached at load */
    uint32_t asking;        /* of them, that ask the processor, or read what such a function has written */
    uint32_t instructions;
    uint32_t through_pointers; /* calls that are not followed */
    uint32_t rounds;
    uint32_t incomplete;    /* 1 if there was no room for more functions */
} dw_reach;

/* Follow the code that runs when an x86 image is loaded, as reach.c tells, and, if asked, also that of its exports. `room` are dw_reached_room bytes for so many
 * functions, all zeros at first and aligned to 8. Stores the needs in the order in which the code is met. */
DW_API uint64_t dw_reached_room(const dw_image *image, uint32_t functions);
DW_API dw_reach dw_reached(const dw_image *image, uint32_t from_exports, uint8_t *room, uint32_t functions,
                           dw_need *needs, uint32_t capacity);

/* One call of the Windows loader. It runs foreign code: only in a child made for it. */
typedef struct dw_load_request {
    const dw_char *path;
    const dw_char *const *directories; /* for AddDllDirectory, in this order: the last is searched first */
    uint32_t directory_count;
    uint32_t default_flags; /* for SetDefaultDllDirectories, 0 to leave the process as it is */
    uint32_t flags;         /* for LoadLibraryExW */
} dw_load_request;

typedef struct dw_load_result {
    void *module;           /* NULL if the load failed */
    uint32_t code;          /* GetLastError of the call that failed, 0 if none did */
    uint32_t call;          /* DW_CALL_... that failed */
    uint32_t directory;     /* index of the directory that AddDllDirectory refused */
} dw_load_result;

enum {
    DW_CALL_NONE = 0,
    DW_CALL_SET_DEFAULT_DLL_DIRECTORIES = 1,
    DW_CALL_ADD_DLL_DIRECTORY = 2,
    DW_CALL_LOAD_LIBRARY = 3
};

/* DW_OK if loaded, DW_REFUSED with the code in the result, DW_NOT_HERE off Windows. */
DW_API int32_t dw_load(const dw_load_request *request, dw_load_result *result);

/* Modules of this process in load order. */
DW_API uint32_t dw_modules(void **modules, uint32_t capacity);

/* Path of a module of this process: its length in characters, 0 on failure, `capacity` if it was cut. */
DW_API uint32_t dw_module_path(void *module, dw_char *path, uint32_t capacity);

/* The API-set map of this process, as it lies in memory: `*map` stays valid for the life of the process. */
DW_API int32_t dw_api_set_map(const uint8_t **map, uint32_t *size);

/* The KnownDLLs of this process's architecture, each ended by a NUL. Returns the characters needed; stores the names
 * that fit. */
DW_API uint32_t dw_known_dlls(dw_char *names, uint32_t capacity);

/* Bytes that Windows can promise to programs in all, and those that this process can still ask for. DW_REFUSED with
 * GetLastError in *code, DW_NOT_HERE off Windows. */
DW_API int32_t dw_commit(uint64_t *limit, uint64_t *available, uint32_t *code);

/* The rights of this process: `*type` is its TOKEN_ELEVATION_TYPE (1 the only token of its user, 2 full, 3 limited),
 * `*elevated` 1 if it has an administrator's. DW_NOT_HERE where it cannot be told. */
DW_API int32_t dw_elevation(uint32_t *type, uint32_t *elevated);

/* Put a process into a new job that ends with its last handle. DW_REFUSED with GetLastError in *code. */
DW_API int32_t dw_guard(void *process, void **job, uint32_t *code);
DW_API void dw_unguard(void *job);

/* What happens in a process. */
enum {
    DW_EVENT_OTHER = 0,     /* a thread began or ended */
    DW_EVENT_PROCESS = 1,   /* a process began: base and path of its program */
    DW_EVENT_MODULE = 2,    /* a file was mapped as an image: base and path; it may still fail to load */
    DW_EVENT_UNMAPPED = 3,
    DW_EVENT_EXCEPTION = 4,
    DW_EVENT_OUTPUT = 5,    /* OutputDebugString */
    DW_EVENT_EXIT = 6       /* the process ended: code is its exit status */
};

/* One event. Its layout is the same for every architecture: a child of another one may have written it. */
typedef struct dw_event {
    uint64_t base;          /* of the image that was mapped, or that holds `address`; 0 if it lies in none */
    uint64_t address;       /* of the instruction that raised the exception */
    uint64_t target;        /* the address that an access violation is about */
    uint32_t kind;          /* DW_EVENT_... */
    uint32_t process;       /* identifiers */
    uint32_t thread;
    uint32_t code;          /* of the exception, or exit status */
    uint32_t first_chance;  /* 1 if no handler has seen the exception yet, 0 if none took it */
    uint32_t access;        /* of an access violation: 0 read, 1 write, 8 execute */
    uint32_t byte_count;    /* readable bytes at `address` */
    uint32_t text_length;   /* characters; a longer text is cut */
    uint8_t bytes[DW_EVENT_BYTES];
    dw_char text[DW_EVENT_TEXT]; /* path of the image, or what was output; no terminator */
} dw_event;

/* Wait for the next event of the processes that this thread started with DEBUG_PROCESS or DEBUG_ONLY_THIS_PROCESS.
 * The process that it is about stands still until dw_debug_continue. DW_OK, DW_TIMED_OUT, DW_REFUSED with GetLastError
 * in *code, DW_NOT_HERE off Windows. */
DW_API int32_t dw_debug_wait(dw_event *event, uint32_t milliseconds, uint32_t *code);

/* Let it go on. `handled` is 1 for the breakpoint with which a debugged process begins, 0 to leave an exception to the
 * process. */
DW_API int32_t dw_debug_continue(const dw_event *event, uint32_t handled, uint32_t *code);

/* Let the loader of a process that has just begun tell what it does, as DW_EVENT_OUTPUT (windows-loader 4). */
DW_API int32_t dw_debug_snaps(uint32_t process, uint32_t *code);

/* Write the first exceptions of this process to an open file, each as a dw_event cut after its text, for a process that
 * cannot be debugged. `room` stays in use for the life of the process. */
DW_API int32_t dw_watch(dw_event *room, void *file);

/* ---- For installers: does a file load on this machine, and what is the machine? (docs/c-api.md)
 *
 * Plain cdecl functions of fixed-width numbers and strings that end with 0. They may be called from any thread and from
 * several at once, but not from DllMain. Windows 7 SP1 or later; nothing of the C runtime is needed. */

/* How a load ends. The numbers are also the exit codes of depwalk-check.exe and never change; more may follow. */
enum {
    DW_FAMILY_LOADS = 0,                 /* nothing is wrong */
    DW_FAMILY_OTHER = 1,                 /* it fails for a reason that is none of those below */
    DW_FAMILY_UNREADABLE = 2,            /* the file, or a directory given, is not there or cannot be read */
    DW_FAMILY_UNKNOWN = 3,               /* it could not be tried */
    DW_FAMILY_MISSING_MSVC_RUNTIME = 10, /* a DLL of a Microsoft redistributable is missing */
    DW_FAMILY_MSVC_RUNTIME_TOO_OLD = 11, /* a DLL of a Microsoft redistributable lacks a function */
    DW_FAMILY_WRONG_ARCHITECTURE = 12,   /* the file, or the only copy of a DLL, is for another processor */
    DW_FAMILY_MISSING_DLL = 13,          /* a DLL is in none of the directories that are searched */
    DW_FAMILY_MISSING_EXPORT = 14,       /* a DLL lacks a function that another imports */
    DW_FAMILY_WINDOWS_TOO_OLD = 15,      /* a DLL of Windows lacks a function, or an API set is missing */
    DW_FAMILY_CPU_FEATURE_MISSING = 16,  /* code needs instructions that cannot be executed here */
    DW_FAMILY_CORRUPT_FILE = 17,         /* a file is cut off, or no DLL at all */
    DW_FAMILY_ACCESS_DENIED = 18,        /* by rights, a policy or an antivirus program */
    DW_FAMILY_INIT_FAILED = 19,          /* code of a DLL gave up while it was loaded */
    DW_FAMILY_CRASH_ON_LOAD = 20,        /* code of a DLL crashed while it was loaded, or ended the process */
    DW_FAMILY_HANG_ON_LOAD = 21,         /* the load did not end in the time given */
    DW_FAMILY_OUT_OF_MEMORY = 22,        /* Windows had too little memory for it */
    DW_FAMILY_SIDE_BY_SIDE = 23,         /* an assembly that a manifest asks for is missing */
    DW_FAMILY_DEBUG_RUNTIME = 24         /* a debug build: it needs a DLL that only Visual Studio has */
};

/* The name of a family, such as "missing-dll", which is also its page below docs/findings; NULL if there is none. */
DW_API const char *dw_family_name(uint32_t family);

typedef struct dw_check_result {
    uint32_t size;          /* sizeof(dw_check_result), set by the caller: no more than that is ever stored */
    uint32_t family;        /* DW_FAMILY_... */
    uint32_t code;          /* Win32 code of the load, or with which the process ended that tried it; 0 if none */
    int32_t status;         /* what dw_check answered */
    dw_char module[DW_CHECK_NAME];    /* file name of the deepest module that is at fault; "" if it loads */
    dw_char needed_by[DW_CHECK_NAME]; /* file name of what imports it; "" for the file itself */
    dw_char sentence[DW_CHECK_TEXT];  /* what fails, why, and what to do; "" if it loads */
    dw_char url[DW_CHECK_NAME];       /* where to get what is missing, "" if nobody can tell */
} dw_check_result;

/* How long the load may take: flags of dw_check hold the seconds in their low 16 bits, 0 for DW_CHECK_SECONDS. */
#define DW_CHECK_SECONDS 30

/* Load a file in a process made for it, as LoadLibraryEx does with its directory, the directories added and System32; of
 * a program (.exe) all that it imports, as Windows does. `dirs` are directories parted by '|', added in this order with
 * AddDllDirectory (the last is searched first), or NULL. The process is depwalk-check-<x64, x86 or arm64>.exe, by the
 * architecture of the file; it lies beside the module that holds this function. Code of the file's DLLs runs in it.
 * DW_OK: result->family is the answer. DW_CANNOT_OPEN: DW_FAMILY_UNREADABLE; DW_REFUSED: DW_FAMILY_UNKNOWN;
 * DW_INVALID: result->size is less than any version had, nothing was stored; DW_NOT_HERE off Windows. */
DW_API int32_t dw_check(const dw_char *path, const dw_char *dirs, uint32_t flags, dw_check_result *result);

/* The same without a struct: returns the family, and stores the sentence, cut to `capacity` characters with its 0.
 * Off Windows DW_FAMILY_UNKNOWN. */
DW_API uint32_t dw_check_text(const dw_char *path, const dw_char *dirs, uint32_t flags, dw_char *text,
                              uint32_t capacity);

/* Whether a program may execute an instruction set of data/cpu.toml ("avx2", "sse4.2"): the processor has it, and the
 * system has switched on the registers. 1 or 0; -1 for a name that is none. On a processor that is no x86: 0. */
DW_API int32_t dw_cpu_has(const char *feature);

/* 1 to 4 for x86-64-v1 to v4, of which all is usable; 0 if it is less, or no x86. */
DW_API uint32_t dw_cpu_level(void);

/* The Visual C++ runtime 2015-2026 in System32 for processes of an architecture ("x64", "x86", "arm64"), as DW_VERSION:
 * the older of vcruntime140.dll and msvcp140.dll, which are what the loader takes; 0 if one is missing, of another
 * architecture, or without a version, as those are that Wine has built in. */
DW_API uint32_t dw_vc_runtime_version(const char *architecture);

/* The version of this Windows as DW_VERSION, whatever the program's manifest says: DW_VERSION(10, 0, 19045). */
DW_API uint32_t dw_windows_version(void);

/* cffi reads to here. */

/* A version as one number, for comparisons. */
#define DW_VERSION(major, minor, build) \
    (((uint32_t)(major) << 24) | ((uint32_t)(minor) << 16) | (uint32_t)(build))

#ifdef __cplusplus
}
#endif

#endif
