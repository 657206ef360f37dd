/* When did each thread work on each call? A kernel that stands before all others and looks at the clock.
 *
 * Only a run that is profiled gets it: fw_run is told that every kernel is fw_timed_kernel, so that a run that is not
 * profiled pays nothing. Which call it stands for, it sees by the pointers that it is given. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "fw_runtime.h"

typedef struct {
    int64_t call, thread, begin, end; /* thread: some number of its own; times in nanoseconds */
} fw_share;

static struct {
    void *const *table;
    const int64_t *call_of_slot;
    fw_kernel *const *kernels; /* of each call */
    fw_share *shares;
    int64_t limit;
    _Atomic int64_t count;
} run;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

FW_API void fw_timed_kernel(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    int64_t call = run.call_of_slot[p - run.table], begin = now_ns();
    run.kernels[call](p, n, lo, hi, scratch);
    int64_t end = now_ns(), number = atomic_fetch_add(&run.count, 1);
    if (number < run.limit) run.shares[number] = (fw_share){call, (int64_t)pthread_self(), begin, end};
}

/* Before a run: one run at a time may be timed. The caller is known by the number that this returns. */
FW_API int64_t fw_time_shares(void *const *table, const int64_t *call_of_slot, fw_kernel *const *kernels,
                              fw_share *shares, int64_t limit) {
    run.table = table;
    run.call_of_slot = call_of_slot;
    run.kernels = kernels;
    run.shares = shares;
    run.limit = limit;
    atomic_store(&run.count, 0);
    return (int64_t)pthread_self();
}

/* After it: how many shares there were. */
FW_API int64_t fw_timed_shares(void) { return atomic_load(&run.count); }
