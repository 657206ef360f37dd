/* How do threads share one call? Inside the runtime only. */
#ifndef FW_POOL_H
#define FW_POOL_H

#include <string.h>

#include "fw_runtime.h"

/* One call of a kernel by `shares` threads. Its units are dealt out in parts; see fw_pool.c. */
typedef struct fw_job {
    fw_kernel *kernel;
    void *const *pointers;
    const int64_t *args;
    int64_t first; /* unit */
    int64_t units;
    int64_t shares;
    char *scratch; /* of thread 0, behind what it keeps */
    int64_t scratch_bytes; /* from one thread's to the next's */
} fw_job;

/* Before a thread's first part of a job: what the kernel keeps from part to part is 0. */
static inline void fw_job_begin(const fw_job *job, int64_t thread) {
    memset(job->scratch + job->scratch_bytes * thread - FW_KEPT_BYTES, 0, FW_KEPT_BYTES);
}

/* Units [lo, hi) of the job, counted from its first. */
static inline void fw_job_part(const fw_job *job, int64_t lo, int64_t hi, int64_t thread) {
    char *scratch = job->scratch + job->scratch_bytes * thread;
    if (lo < hi) job->kernel(job->pointers, job->args, job->first + lo, job->first + hi, scratch);
}

/* Whether this caller now owns the pool; it must leave it. Never waits. */
int fw_pool_enter(fw_pool *pool);
void fw_pool_leave(fw_pool *pool);

/* Run all units of a job and return when all are done. The caller owns the pool. */
void fw_pool_run(fw_pool *pool, const fw_job *job);

#endif
