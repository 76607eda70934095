/* What the files of the fuzz driver share. */
#ifndef DEPWALK_FUZZ_H
#define DEPWALK_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "depwalk.h"

/* The input in hand: for the message and the saved copy of a failure. */
typedef struct fuzz_input {
    const char *name;
    const char *variant;    /* "whole", "cut to", "mutation", ... */
    uint64_t number;        /* of the variant */
    const uint8_t *data;
    size_t size;
} fuzz_input;

extern const char *fuzz_save_path;  /* where the input of a failure is written, NULL for nowhere */

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* Call every reading function on an input and check each answer; does not return if one is wrong. The bytes must lie
 * so that reading one beyond them is seen. */
void fuzz_check(const fuzz_input *input);

/* The same for those that read code. */
void fuzz_check_code(const dw_image *image);

/* Around a call that reads code: it may work so much for each byte of the file. */
void fuzz_allow_code(uint64_t size);
void fuzz_end_work(uint64_t size);

/* The most basic blocks that one call executed, per byte of input; 0 in a build that does not count them. */
double fuzz_most_work(void);

/* Damage bytes in place; the same seed and bytes give the same damage. */
void fuzz_mutate(uint8_t *data, size_t size, uint64_t seed);

/* Files made to cost as much as they can. Returns false if there is no such number. */
bool fuzz_worst(uint32_t number, uint8_t *data, size_t size, const char **name);

enum { FUZZ_WORST_SMALLEST = 0x4000 };

uint64_t fuzz_random(uint64_t *state);

static inline void fuzz_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void fuzz_put32(uint8_t *at, uint32_t value)
{
    fuzz_put16(at, value);
    fuzz_put16(at + 2, value >> 16);
}

static inline uint32_t fuzz_get16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t fuzz_get32(const uint8_t *at)
{
    return fuzz_get16(at) | fuzz_get16(at + 2) << 16;
}

#endif
