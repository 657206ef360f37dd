/* How do threads share one call? Inside the runtime only. */
#ifndef FW_POOL_H
#define FW_POOL_H

#include "fw_runtime.h"

/* One call of a kernel, split in `shares`; worker w of P runs shares w, w + P, w + 2P, ... */
typedef struct fw_job {
    fw_kernel *kernel;
    void *const *pointers;
    const int64_t *args;
    int64_t units;
    int64_t shares;
    char *scratch; /* of thread 0 */
    int64_t scratch_bytes;
} fw_job;

static inline void fw_job_share(const fw_job *job, int64_t share, int64_t thread) {
    int64_t lo = job->units * share / job->shares;
    int64_t hi = job->units * (share + 1) / job->shares;
    if (lo < hi) job->kernel(job->pointers, job->args, lo, hi, job->scratch + job->scratch_bytes * thread);
}

/* Whether this caller now owns the pool; it must leave it. Never waits. */
int fw_pool_enter(fw_pool *pool);
void fw_pool_leave(fw_pool *pool);

/* Run all shares of a job and return when all are done. The caller owns the pool. */
void fw_pool_run(fw_pool *pool, const fw_job *job);

#endif
