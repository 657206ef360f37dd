/* What walks a program and shares its kernels out to threads. Depends on nothing but the C library. */
#ifndef FW_RUNTIME_H
#define FW_RUNTIME_H

#include <stdint.h>

/* A program is one array of 64-bit integers ("words"):
 *
 *   [0]  FW_MAGIC          [1]  FW_ABI             [2]  number of words       [3]  kernels
 *   [4]  calls             [5]  inputs             [6]  outputs               [7]  slots
 *   [8]  patches           [9]  arena bytes        [10] scratch bytes a thread [11] threads
 *   [12..15] zero
 *   slots   x (space, index, byte offset)          one for each buffer reference of each call
 *   patches x (slot)                               the slots in the space of inputs or outputs
 *   calls   x (kernel, units, turns, shares, first slot, number of slots, number of args, args...)
 *
 * Arena and scratch bytes are multiples of FW_ALIGN. The memory of one run in flight is one block: arena, then for each
 * thread FW_KEPT_BYTES and its scratch, then a table with one pointer for each slot.
 *
 * A call's units are dealt out to threads in parts, a kernel runs once for each part. A call of several turns is made
 * so many times, each turn when the one before is done everywhere, with the units behind those of the one before. In the FW_KEPT_BYTES in front of
 * its scratch a kernel keeps what its next part of the same call may go on with; before the first part they are 0, and
 * the scratch between two parts of a call stays as it is. */
#define FW_MAGIC INT64_C(0x474f525057465f46)
#define FW_ABI 4
#define FW_HEADER_WORDS 16
#define FW_CALL_WORDS 7
#define FW_KEPT_BYTES 128
#define FW_ALIGN 128 /* two cache lines: processors prefetch lines in pairs */

enum fw_space { FW_ARENA = 0, FW_WEIGHTS = 1, FW_INPUT = 2, FW_OUTPUT = 3 };

#define FW_API __attribute__((visibility("default")))

typedef void fw_kernel(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch);
typedef struct fw_pool fw_pool;

/* One run: the program and its kernels, the caller's arrays, the prepared memory, and helpers (or NULL). `times`, unless
 * NULL, receives for each call the nanoseconds that it took. */
typedef struct fw_frame {
    const int64_t *words;
    fw_kernel *const *kernels;
    char *const *inputs, *const *outputs;
    char *memory;
    fw_pool *pool;
    int64_t *times;
} fw_frame;

/* The version of all that is declared here. */
FW_API int64_t fw_abi(void);

/* 0 when the words are a whole program whose every reference lies inside the arena or the weights; else the
 * number (from 1) of the check that failed, as fw_check's text lists them. */
FW_API int64_t fw_check(const int64_t *words, int64_t count, int64_t weight_bytes);

/* Bytes of memory that one run in flight needs, for a checked program. */
FW_API int64_t fw_memory_bytes(const int64_t *words);

/* Fill the pointer table of a block of memory (aligned to FW_ALIGN). Once for each block. */
FW_API void fw_prepare(const int64_t *words, char *memory, char *weights);

/* Run a checked program in prepared memory. One run at a time may use a block; several runs may use one pool
 * (the one that comes later runs alone until the pool is free). */
FW_API void fw_run(const fw_frame *frame);

/* A pool of `threads` - 1 workers (the caller is thread 0), or NULL when the system refuses. */
FW_API fw_pool *fw_pool_new(int64_t threads);
FW_API int64_t fw_pool_threads(const fw_pool *pool);
FW_API void fw_pool_free(fw_pool *pool);

#endif
