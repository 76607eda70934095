/* How dw_check, the process that it starts and its words work together. Not part of the public interface. */
#ifndef DEPWALK_CHECK_H
#define DEPWALK_CHECK_H

#include <stdbool.h>

#include "depwalk.h"

enum {
    CHECK_PATH = 32768,     /* characters, as many as a path has */
    CHECK_SYMBOL = 512,
    CHECK_DEPTH = 64,       /* of the imports that are followed */
    CHECK_IMPORTS = 1024,
    CHECK_SYMBOLS = 65536,
    CHECK_BINDINGS = 4096,
    CHECK_MODULES = 512,
    CHECK_DIRECTORIES = 64
};

/* What the process is asked to do. */
enum {
    CHECK_LOAD = 0,         /* load the file; if it fails, follow its imports */
    CHECK_WALK = 1          /* load what `start` imports, and follow what fails: `start` itself is not loaded */
};

/* How far it has come. What is written after the last stage counts only if the stage is there. */
enum {
    CHECK_BEGAN = 0,
    CHECK_LOADING = 1,      /* the file */
    CHECK_WALKING = 2,      /* `tried`, which `here` imports */
    CHECK_DONE = 3
};

/* What is at fault, and why. */
enum {
    CHECK_NO_FAULT = 0,
    CHECK_MISSING = 1,      /* no file of this name is found */
    CHECK_WRONG_MACHINE = 2,
    CHECK_CORRUPT = 3,
    CHECK_LACKS = 4,        /* the module lacks `symbol`, which `needed_by` imports */
    CHECK_REFUSED = 5,      /* all its imports load, and itself it does not */
    CHECK_UNREADABLE = 6,   /* it cannot be opened */
    CHECK_NOT_FOLLOWED = 7, /* it fails, and its imports are too many or too deep to say more */
    CHECK_CRASHED = 8,
    CHECK_HUNG = 9,
    CHECK_NO_DIRECTORY = 10, /* the module is a directory that cannot be searched */
    CHECK_NO_PROGRAM = 11,  /* the module is the program that would have tried it */
    CHECK_NOT_STARTED = 12
};

typedef struct check_fault {
    uint32_t kind;
    uint32_t code;          /* of the loader, or of the exception, or with which the process ended */
    uint32_t machine;       /* of the module, if that is wrong */
    uint32_t of_windows;    /* 1 if the module lies in the system's directory */
    uint32_t circle;        /* 1 if it imports what led to it */
    uint32_t reserved;
    dw_char module[CHECK_PATH];    /* a path, or the name of what has none */
    dw_char needed_by[CHECK_PATH]; /* "" for the file itself */
    char symbol[CHECK_SYMBOL];
} check_fault;

/* Memory that both processes see. The same layout for every architecture. */
typedef struct check_room {
    uint32_t version;       /* DW_ABI_VERSION of who made it */
    uint32_t mode;
    uint32_t machine;       /* of the file, IMAGE_FILE_MACHINE_... */
    uint32_t is_program;    /* 1 for an .exe */
    dw_char path[CHECK_PATH];
    dw_char directories[CHECK_PATH]; /* each ended by 0, the last by two */
    dw_char program[CHECK_PATH]; /* that tries it */
    dw_char start[CHECK_PATH];
    dw_char start_needed_by[CHECK_PATH];

    uint32_t stage;
    uint32_t code;          /* of the load of the file */
    check_fault fault;
    dw_event event;         /* the last exception */

    /* Where the process is, for whoever finds it dead. */
    dw_char here[CHECK_PATH];
    dw_char parent[CHECK_PATH];
    dw_char tried[CHECK_PATH];       /* as the import names it */
    dw_char tried_path[CHECK_PATH];  /* where it seems to lie, "" if nowhere */
    uint32_t chain[CHECK_DEPTH];     /* hashes of the names that led here */
    uint32_t depth;
    uint32_t reserved;
    dw_event own_event;
    dw_char directory[CHECK_PATH];
    dw_char candidate[CHECK_PATH];
    dw_char exporter[CHECK_PATH];
    dw_char other_path[CHECK_PATH];
    dw_import imports[CHECK_IMPORTS];
    dw_symbol symbols[CHECK_SYMBOLS];
    dw_binding bindings[CHECK_BINDINGS];
} check_room;

enum {
    CHECK_I386 = 0x14C,
    CHECK_AMD64 = 0x8664,
    CHECK_ARM64 = 0xAA64
};

/* "x64", "x86", "arm64"; NULL for another machine. */
const char *check_architecture(uint32_t machine);

/* The machine of these sources. */
uint32_t check_own_machine(void);

/* Whether a process of an architecture may load an image. */
bool check_fits(const dw_image *image, uint32_t machine);

/* Whether the loader refuses it, whatever its imports are. */
bool check_is_damaged(const dw_image *image);

/* A text in a bounded array, always ended by 0; what does not fit is left out. */
typedef struct check_text {
    dw_char *text;
    uint32_t capacity;
    uint32_t length;
} check_text;

check_text check_begin(dw_char *text, uint32_t capacity);
void check_add(check_text *text, const char *more);
void check_add_wide(check_text *text, const dw_char *more);
void check_add_number(check_text *text, uint32_t number);

/* A code as people write it: small ones decimal, others 0xC000001D. */
void check_add_code(check_text *text, uint32_t code);

uint32_t check_length(const dw_char *text);
void check_copy(dw_char *to, uint32_t capacity, const dw_char *from);

/* The file name in a path. */
const dw_char *check_name(const dw_char *path);

bool check_is_same_name(const dw_char *left, const dw_char *right);

/* The answer, from what was found. */
void check_tell(const check_room *room, dw_check_result *result);

/* What a program asks of the machine: DW_OK with family DW_FAMILY_LOADS if it is met, or the family and the sentence.
 * DW_INVALID if `wanted` is no level ("v3"), and no instruction set. */
int32_t check_cpu(const dw_char *wanted, dw_check_result *result);

/* The same of the Visual C++ runtime: `found` and `wanted` are versions as DW_VERSION. */
void check_vc_runtime(uint32_t machine, uint32_t found, uint32_t wanted, dw_check_result *result);

/* What the process does that dw_check starts. */
void check_child(check_room *room);

/* dw_check; `is_checker` says that this program can be that process. */
int32_t check_run(const dw_char *path, const dw_char *dirs, uint32_t flags, bool is_checker, dw_check_result *result);

/* Whether a path lies in the directory of Windows. */
bool check_is_of_windows(const dw_char *path);

#endif
