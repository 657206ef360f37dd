/* How is a program walked? One call after the other, each by as many threads as its record says. */
#include "fw_runtime.h"

#include <stddef.h>
#include <time.h>

#include "fw_pool.h"

enum {
    W_MAGIC, W_ABI, W_COUNT, W_KERNELS, W_CALLS, W_INPUTS, W_OUTPUTS, W_SLOTS, W_PATCHES,
    W_ARENA, W_SCRATCH, W_THREADS,
};
enum { C_KERNEL, C_UNITS, C_TURNS, C_SHARES, C_FIRST_SLOT, C_SLOTS, C_ARGS };
enum { S_SPACE, S_INDEX, S_OFFSET, SLOT_WORDS };

#define LIMIT (INT64_C(1) << 46) /* of any size or count: sums and products below cannot overflow */
#define MAX_UNITS (INT64_C(1) << 48)
#define MAX_SHARES 4096

static const int64_t *slots_of(const int64_t *words) { return words + FW_HEADER_WORDS; }
static const int64_t *patches_of(const int64_t *words) { return slots_of(words) + SLOT_WORDS * words[W_SLOTS]; }
static const int64_t *calls_of(const int64_t *words) { return patches_of(words) + words[W_PATCHES]; }
static int within(int64_t value, int64_t limit) { return value >= 0 && value < limit; }

int64_t fw_abi(void) { return FW_ABI; }

/* 4: a slot of no space, input or output, or outside its space. */
static int64_t check_slot(const int64_t *words, const int64_t *slot, int64_t weight_bytes) {
    int64_t limit[4] = {words[W_ARENA], weight_bytes, LIMIT, LIMIT};
    if (!within(slot[S_SPACE], 4)) return 4;
    if (!within(slot[S_OFFSET], limit[slot[S_SPACE]] + 1)) return 4;
    if (slot[S_SPACE] == FW_INPUT && !within(slot[S_INDEX], words[W_INPUTS])) return 4;
    if (slot[S_SPACE] == FW_OUTPUT && !within(slot[S_INDEX], words[W_OUTPUTS])) return 4;
    return 0;
}

/* 5: patches that are not exactly the slots of inputs and outputs, in order. */
static int64_t check_patches(const int64_t *words) {
    const int64_t *patches = patches_of(words), *slot = slots_of(words);
    int64_t next = 0;
    for (int64_t i = 0; i < words[W_SLOTS]; i++, slot += SLOT_WORDS) {
        if (slot[S_SPACE] != FW_INPUT && slot[S_SPACE] != FW_OUTPUT) continue;
        if (next == words[W_PATCHES] || patches[next++] != i) return 5;
    }
    return next == words[W_PATCHES] ? 0 : 5;
}

/* 6: calls that end elsewhere than the words. 7: a call of no kernel, of absurd units or turns, or of too many shares.
 * 8: a call's slots do not follow the last call's. */
static int64_t check_calls(const int64_t *words, int64_t count) {
    const int64_t *call = calls_of(words), *end = words + count;
    int64_t next_slot = 0;
    for (int64_t i = 0; i < words[W_CALLS]; i++) {
        if (end - call < FW_CALL_WORDS) return 6;
        if (!within(call[C_ARGS], end - call - FW_CALL_WORDS + 1)) return 6;
        if (!within(call[C_KERNEL], words[W_KERNELS]) || !within(call[C_UNITS], MAX_UNITS)) return 7;
        if (call[C_TURNS] < 1 || call[C_UNITS] > MAX_UNITS / call[C_TURNS]) return 7;
        if (call[C_SHARES] < 1 || call[C_SHARES] > words[W_THREADS]) return 7;
        if (call[C_FIRST_SLOT] != next_slot) return 8;
        if (!within(call[C_SLOTS], words[W_SLOTS] - next_slot + 1)) return 8;
        next_slot += call[C_SLOTS];
        call += FW_CALL_WORDS + call[C_ARGS];
    }
    return call == end && next_slot == words[W_SLOTS] ? 0 : 6;
}

/* 1: not a program of this version. 2: a negative or absurd number in the header, or bytes that are not
 * a multiple of FW_ALIGN. 3: shorter than the header says. */
int64_t fw_check(const int64_t *words, int64_t count, int64_t weight_bytes) {
    if (count < FW_HEADER_WORDS || words[W_MAGIC] != FW_MAGIC || words[W_ABI] != FW_ABI) return 1;
    if (words[W_COUNT] != count) return 3;
    for (int i = W_KERNELS; i <= W_THREADS; i++)
        if (!within(words[i], LIMIT)) return 2;
    if (words[W_ARENA] % FW_ALIGN || words[W_SCRATCH] % FW_ALIGN) return 2;
    if (words[W_THREADS] < 1 || words[W_THREADS] > MAX_SHARES) return 2;
    if (SLOT_WORDS * words[W_SLOTS] + words[W_PATCHES] + FW_CALL_WORDS * words[W_CALLS] >
        count - FW_HEADER_WORDS)
        return 3;
    for (int64_t i = 0; i < words[W_SLOTS]; i++) {
        int64_t fault = check_slot(words, slots_of(words) + SLOT_WORDS * i, weight_bytes);
        if (fault) return fault;
    }
    int64_t fault = check_patches(words);
    return fault ? fault : check_calls(words, count);
}

static int64_t thread_bytes(const int64_t *words) { return FW_KEPT_BYTES + words[W_SCRATCH]; }
static int64_t table_offset(const int64_t *words) { return words[W_ARENA] + thread_bytes(words) * words[W_THREADS]; }

int64_t fw_memory_bytes(const int64_t *words) {
    int64_t bytes = table_offset(words) + words[W_SLOTS] * (int64_t)sizeof(void *);
    return (bytes + FW_ALIGN - 1) / FW_ALIGN * FW_ALIGN;
}

void fw_prepare(const int64_t *words, char *memory, char *weights) {
    void **table = (void **)(memory + table_offset(words));
    const int64_t *slot = slots_of(words);
    for (int64_t i = 0; i < words[W_SLOTS]; i++, slot += SLOT_WORDS) {
        if (slot[S_SPACE] == FW_ARENA) table[i] = memory + slot[S_OFFSET];
        else if (slot[S_SPACE] == FW_WEIGHTS) table[i] = weights + slot[S_OFFSET];
        else table[i] = NULL; /* filled by each run */
    }
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run_job(const fw_job *job, fw_pool *pool, int *owns) {
    if (job->shares > 1 && pool && fw_pool_threads(pool) > 1) {
        if (!*owns) *owns = fw_pool_enter(pool);
        if (*owns) {
            fw_pool_run(pool, job);
            return;
        }
    }
    fw_job_begin(job, 0);
    fw_job_part(job, 0, job->units, 0);
}

void fw_run(const fw_frame *frame) {
    const int64_t *words = frame->words;
    char *memory = frame->memory;
    int64_t *times = frame->times;
    void **table = (void **)(memory + table_offset(words));
    const int64_t *slots = slots_of(words), *patches = patches_of(words), *call = calls_of(words);
    for (int64_t i = 0; i < words[W_PATCHES]; i++) {
        const int64_t *slot = slots + SLOT_WORDS * patches[i];
        char *const *arrays = slot[S_SPACE] == FW_INPUT ? frame->inputs : frame->outputs;
        table[patches[i]] = arrays[slot[S_INDEX]] + slot[S_OFFSET];
    }
    int owns = 0;
    int64_t before = times ? now_ns() : 0;
    for (int64_t i = 0; i < words[W_CALLS]; i++) {
        fw_job job = {
            .kernel = frame->kernels[call[C_KERNEL]],
            .pointers = table + call[C_FIRST_SLOT],
            .args = call + FW_CALL_WORDS,
            .first = 0,
            .units = call[C_UNITS],
            .shares = call[C_SHARES],
            .scratch = memory + words[W_ARENA] + FW_KEPT_BYTES,
            .scratch_bytes = thread_bytes(words),
        };
        for (int64_t turn = 0; turn < call[C_TURNS]; turn++) {
            run_job(&job, frame->pool, &owns);
            job.first += job.units;
        }
        if (times) {
            int64_t now = now_ns();
            times[i] = now - before;
            before = now;
        }
        call += FW_CALL_WORDS + call[C_ARGS];
    }
    if (owns) fw_pool_leave(frame->pool);
}
