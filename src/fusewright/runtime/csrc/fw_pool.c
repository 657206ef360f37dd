/* How do threads share one call? Workers that persist, spin briefly and then sleep.
 *
 * A call is cut into pieces, each a range of its units, and every participant begins with as many, next to each other.
 * A thread takes half of what is left of its own, from the front, and again, until nothing is; then half of what
 * another has left, from the back. So all end at about the same time, also where one is held up, by the system or by
 * what else its processor has to do, and on a quiet machine each does its own in few parts.
 *
 * The owner writes the job and the participants' spans, then publishes `word` = (epoch, participants). A worker whose
 * number is below the participants takes what it can get, and counts `pending` down by it; the owner returns when that
 * is zero. Spans name their epoch, so a worker that comes late takes nothing of a job that it has not been told of,
 * and reads nothing of a job of which it has no piece: the owner need not wait for it. */
#define _GNU_SOURCE
#include "fw_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* How long to spin. Waking a sleeping thread costs 5 to 50 us, so during a run a worker waits longer than
 * the serial calls between two parallel ones usually take; after a run it soon gives the processor back. */
#define SPIN_NS 20000         /* with the pause instruction only */
#define YIELD_RUN_NS 1000000  /* then offering the processor to others: inside a run */
#define YIELD_IDLE_NS 60000   /* ... and after it */
#define PAUSES 32             /* between two looks at the clock */

#define EPOCH_BITS 48
#define EPOCH_MASK ((UINT64_C(1) << EPOCH_BITS) - 1)

/* A span: the low bits of the epoch, then the first piece that nobody has, then the end of the pieces that nobody has. */
#define PIECE_BITS 20
#define PIECE_MASK ((UINT64_C(1) << PIECE_BITS) - 1)
#define SPAN(epoch, next, end) ((epoch) << 2 * PIECE_BITS | (uint64_t)(next) << PIECE_BITS | (uint64_t)(end))
#define LEAST_PARTS 32 /* of what a thread begins with: smaller ones are not taken, unless there are no others */

#define MAX_THREADS 4096
#define WORKER_STACK (1 << 20)

typedef struct {
    _Alignas(128) atomic_int value;
    atomic_int sleepers;
#ifndef __linux__
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
} fw_gate; /* a number that threads wait on until it changes */

typedef struct {
    _Alignas(128) _Atomic uint64_t span;
} fw_place; /* of one thread: what it has still to do */

typedef struct {
    fw_pool *pool;
    int64_t number;
    pthread_t thread;
} fw_worker;

struct fw_pool {
    int64_t threads;
    int64_t started;
    int spins; /* 0 when there are more threads than processors: spinning would only delay the others */
    fw_worker *workers;
    fw_place *places;
    _Alignas(128) atomic_int busy;
    atomic_int stop;
    _Alignas(128) _Atomic uint64_t word;
    fw_job job;        /* in the word's cache line: one transfer starts a worker */
    int64_t pieces;
    fw_gate published; /* low bits of the epoch, for those who sleep */
    fw_gate pending;   /* pieces that are not done */
};

static inline void fw_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void gate_init(fw_gate *gate) {
    atomic_init(&gate->value, 0);
    atomic_init(&gate->sleepers, 0);
#ifndef __linux__
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->changed, NULL);
#endif
}

static void gate_destroy(fw_gate *gate) {
#ifndef __linux__
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
#else
    (void)gate;
#endif
}

/* Sleep while the value is `seen`; may return early. */
static void gate_sleep(fw_gate *gate, int seen) {
    atomic_fetch_add(&gate->sleepers, 1);
#ifdef __linux__
    if (atomic_load(&gate->value) == seen)
        syscall(SYS_futex, &gate->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    pthread_mutex_lock(&gate->mutex);
    while (atomic_load(&gate->value) == seen) pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
#endif
    atomic_fetch_sub(&gate->sleepers, 1);
}

/* After a change of the value (sequentially consistent): wake those who sleep. */
static void gate_wake(fw_gate *gate) {
    if (atomic_load(&gate->sleepers) == 0) return;
#ifdef __linux__
    syscall(SYS_futex, &gate->value, FUTEX_WAKE_PRIVATE, MAX_THREADS, NULL, NULL, 0);
#else
    pthread_mutex_lock(&gate->mutex);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
#endif
}

/* One step of waiting, the `turn`th: pause, then yield, then 0 to say that it is time to sleep. */
static int wait_step(int64_t *since, int64_t *turn, int spins, int64_t yield_ns) {
    if (!spins) return 0;
    fw_pause();
    if (++*turn % PAUSES) return 1;
    int64_t now = now_ns();
    if (*since == 0) *since = now;
    if (now - *since < SPIN_NS) return 1;
    if (now - *since > SPIN_NS + yield_ns) return 0;
    sched_yield();
    return 1;
}

static uint64_t wait_for_word(fw_pool *pool, uint64_t seen) {
    int64_t since = 0, turn = 0;
    for (;;) {
        uint64_t word = atomic_load_explicit(&pool->word, memory_order_acquire);
        if (word != seen) return word;
        int64_t yield_ns =
            atomic_load_explicit(&pool->busy, memory_order_relaxed) ? YIELD_RUN_NS : YIELD_IDLE_NS;
        if (wait_step(&since, &turn, pool->spins, yield_ns)) continue;
        int gate = atomic_load(&pool->published.value); /* before the last look: it changes after the word */
        if (atomic_load(&pool->word) == seen) gate_sleep(&pool->published, gate);
    }
}

static uint64_t next_epoch(fw_pool *pool) {
    return (atomic_load_explicit(&pool->word, memory_order_relaxed) + 1) & EPOCH_MASK;
}

static void publish(fw_pool *pool, uint64_t epoch, int64_t participants) {
    atomic_store(&pool->word, (uint64_t)participants << EPOCH_BITS | epoch);
    atomic_store(&pool->published.value, (int)(epoch & 0x7fffffff));
    gate_wake(&pool->published);
}

/* Take pieces of `place` for a job of that epoch: 0 when it has none. */
static int64_t take(fw_place *place, uint64_t epoch, int64_t least, int from_back, int64_t *first) {
    uint64_t span = atomic_load_explicit(&place->span, memory_order_relaxed);
    for (;;) {
        int64_t next = (int64_t)(span >> PIECE_BITS & PIECE_MASK), end = (int64_t)(span & PIECE_MASK);
        int64_t left = end - next, count = (left + 1) / 2;
        if (left == 0 || span >> 2 * PIECE_BITS != SPAN(epoch, 0, 0) >> 2 * PIECE_BITS) return 0;
        if (count < least) count = left < least ? left : least;
        *first = from_back ? end - count : next;
        uint64_t rest = from_back ? SPAN(epoch, next, end - count) : SPAN(epoch, next + count, end);
        if (atomic_compare_exchange_weak_explicit(&place->span, &span, rest, memory_order_acquire, memory_order_relaxed))
            return count;
    }
}

/* Where a piece begins, in units. */
static int64_t unit_of(const fw_job *job, int64_t pieces, int64_t piece) {
    return job->units / pieces * piece + job->units % pieces * piece / pieces;
}

/* What thread `me` can get of the job of `epoch`: its own pieces, then those of others. */
static void run_parts(fw_pool *pool, uint64_t epoch, int64_t participants, int64_t me) {
    int64_t done = 0, first, count;
    for (int64_t i = 0; i < participants; i++) {
        fw_place *place = &pool->places[(me + i) % participants];
        for (int64_t least = 1; (count = take(place, epoch, least, i > 0, &first)) != 0; done += count) {
            const fw_job *job = &pool->job; /* nobody writes it while a piece is not done */
            least = pool->pieces / (participants * LEAST_PARTS);
            if (done == 0) fw_job_begin(job, me);
            fw_job_part(job, unit_of(job, pool->pieces, first), unit_of(job, pool->pieces, first + count), me);
        }
    }
    if (done && atomic_fetch_sub(&pool->pending.value, (int)done) == done) gate_wake(&pool->pending);
}

static void *work(void *argument) {
    fw_worker *me = argument;
    fw_pool *pool = me->pool;
    uint64_t seen = 0;
    for (;;) {
        seen = wait_for_word(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        int64_t participants = (int64_t)(seen >> EPOCH_BITS);
        if (me->number < participants) run_parts(pool, seen & EPOCH_MASK, participants, me->number);
    }
}

int fw_pool_enter(fw_pool *pool) {
    int idle = 0;
    if (atomic_load_explicit(&pool->busy, memory_order_relaxed)) return 0;
    return atomic_compare_exchange_strong(&pool->busy, &idle, 1);
}

void fw_pool_leave(fw_pool *pool) { atomic_store(&pool->busy, 0); }

void fw_pool_run(fw_pool *pool, const fw_job *job) {
    int64_t participants = job->shares < pool->threads ? job->shares : pool->threads;
    int64_t pieces = job->units < (int64_t)PIECE_MASK ? job->units : (int64_t)PIECE_MASK;
    uint64_t epoch = next_epoch(pool);
    pool->job = *job;
    pool->pieces = pieces;
    atomic_store_explicit(&pool->pending.value, (int)pieces, memory_order_relaxed);
    for (int64_t i = 0; i < participants; i++) {
        uint64_t span = SPAN(epoch, pieces * i / participants, pieces * (i + 1) / participants);
        atomic_store_explicit(&pool->places[i].span, span, memory_order_release);
    }
    publish(pool, epoch, participants);
    run_parts(pool, epoch, participants, 0);
    int64_t since = 0, turn = 0;
    for (;;) {
        int left = atomic_load_explicit(&pool->pending.value, memory_order_acquire);
        if (left == 0) return;
        if (wait_step(&since, &turn, pool->spins, YIELD_RUN_NS)) continue;
        gate_sleep(&pool->pending, left);
    }
}

static int64_t usable_processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return sysconf(_SC_NPROCESSORS_ONLN);
}

int64_t fw_pool_threads(const fw_pool *pool) { return pool->threads; }

void fw_pool_free(fw_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, 1);
    publish(pool, next_epoch(pool), 0);
    for (int64_t i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    gate_destroy(&pool->published);
    gate_destroy(&pool->pending);
    free(pool->workers);
    free(pool->places);
    free(pool);
}

fw_pool *fw_pool_new(int64_t threads) {
    void *memory = NULL;
    if (threads < 1 || threads > MAX_THREADS) return NULL;
    if (posix_memalign(&memory, 128, sizeof(fw_pool)) != 0) return NULL;
    fw_pool *pool = memory;
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->spins = threads <= usable_processors();
    gate_init(&pool->published);
    gate_init(&pool->pending);
    pool->workers = calloc((size_t)threads, sizeof(fw_worker));
    memory = NULL;
    if (posix_memalign(&memory, 128, (size_t)threads * sizeof(fw_place)) == 0) pool->places = memory;
    for (int64_t i = 0; pool->places && i < threads; i++) atomic_init(&pool->places[i].span, 0);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    sigset_t all, before; /* signals are for the caller's threads, which know what to do with them */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int64_t i = 1; pool->workers && pool->places && i < threads; i++) {
        fw_worker *worker = &pool->workers[i - 1];
        worker->pool = pool;
        worker->number = i;
        if (pthread_create(&worker->thread, &attributes, work, worker) != 0) break;
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!pool->workers || !pool->places || pool->started != threads - 1) {
        fw_pool_free(pool);
        return NULL;
    }
    return pool;
}
