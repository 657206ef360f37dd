/* Runs kernels and programs on an emulated processor, for emulator.py: commands on standard input, answers on
 * standard output, both as bytes. An integer is 8 bytes; a block or a text is its length and its bytes.
 *
 *   'L' path                                   load a library               -> handle
 *   'S' handle, name                           find a function              -> address
 *   'K' address, args, units, turns, shares, scratch, blocks   run one kernel -> the blocks as they are now
 *   'V' address, count, 3 blocks               call f(r, x, y, count)       -> the blocks as they are now
 *   'P' runtime, words, weights, addresses     check and keep a program     -> program, or minus the fault
 *   'R' program, threads, inputs, sizes        run a program                -> the outputs
 *
 * A block ends where a page begins that may not be touched: what reads or writes behind it ends this process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fw_runtime.h"

enum { PAGE = 4096 };

typedef struct {
    char *data;
    int64_t bytes;
} block;

typedef struct {
    int64_t *words;
    char *weights;
    fw_kernel **kernels;
    void (*run)(const fw_frame *);
    fw_pool *(*new_pool)(int64_t);
    void (*free_pool)(fw_pool *);
    char *memory;
} program;

static void stop(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void get(void *to, int64_t bytes) {
    if (bytes && fread(to, bytes, 1, stdin) != 1) exit(0); /* the tests are over */
}
static void put(const void *from, int64_t bytes) {
    if (bytes && fwrite(from, bytes, 1, stdout) != 1) exit(1);
}
static int64_t get_int(void) {
    int64_t value;
    get(&value, sizeof value);
    return value;
}
static void put_int(int64_t value) { put(&value, sizeof value); }

static void *map(int64_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) stop("out of memory");
    return at;
}
static int64_t pages(int64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static block new_block(int64_t bytes) {
    char *start = map(pages(bytes) + PAGE);
    if (mprotect(start + pages(bytes), PAGE, PROT_NONE)) stop("cannot protect a page");
    return (block){start + pages(bytes) - bytes, bytes};
}
static void free_block(block b) { munmap(b.data + b.bytes - pages(b.bytes), pages(b.bytes) + PAGE); }

static block get_block(void) {
    block b = new_block(get_int());
    get(b.data, b.bytes);
    return b;
}
static void put_block(block b) {
    put_int(b.bytes);
    put(b.data, b.bytes);
    free_block(b);
}
static char *get_text(void) {
    int64_t bytes = get_int();
    char *text = calloc(bytes + 1, 1);
    get(text, bytes);
    return text;
}
static int64_t *get_ints(int64_t *count) {
    *count = get_int();
    int64_t *values = calloc(*count + 1, sizeof *values);
    get(values, *count * sizeof *values);
    return values;
}

static void *symbol(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    if (!found) stop(dlerror());
    return found;
}

static void load(void) {
    char *path = get_text();
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) stop(dlerror());
    free(path);
    put_int((int64_t)handle);
}

static void find(void) {
    void *handle = (void *)get_int();
    char *name = get_text();
    put_int((int64_t)symbol(handle, name));
    free(name);
}

static void run_kernel(void) {
    fw_kernel *kernel = (fw_kernel *)get_int();
    int64_t count, *args = get_ints(&count), units = get_int(), turns = get_int(), shares = get_int();
    block scratch = new_block(pages(FW_KEPT_BYTES + get_int())); /* whole pages: kernels count on its alignment */
    int64_t number = get_int();
    block *blocks = calloc(number + 1, sizeof *blocks);
    void **pointers = calloc(number + 1, sizeof *pointers);
    for (int64_t i = 0; i < number; i++) blocks[i] = get_block(), pointers[i] = blocks[i].data;
    for (int64_t i = 0; i < turns * shares; i++) {
        int64_t first = i / shares * units, share = i % shares;
        int64_t lo = first + units * share / shares, hi = first + units * (share + 1) / shares;
        memset(scratch.data, 0, FW_KEPT_BYTES);
        kernel(pointers, args, lo, hi, scratch.data + FW_KEPT_BYTES);
    }
    for (int64_t i = 0; i < number; i++) put_block(blocks[i]);
    free_block(scratch);
    free(args), free(blocks), free(pointers);
}

static void call(void) {
    void (*function)(void *, const void *, const void *, int64_t) =
        (void (*)(void *, const void *, const void *, int64_t))get_int();
    int64_t count = get_int();
    block r = get_block(), x = get_block(), y = get_block();
    function(r.data, x.data, y.data, count);
    put_block(r), put_block(x), put_block(y);
}

static void prepare(void) {
    void *runtime = (void *)get_int();
    int64_t count, kernels, weight_bytes;
    program *p = calloc(1, sizeof *p);
    p->words = get_ints(&count);
    weight_bytes = get_int();
    p->weights = map(pages(weight_bytes) + PAGE);
    get(p->weights, weight_bytes);
    p->kernels = (fw_kernel **)get_ints(&kernels);
    *(void **)&p->run = symbol(runtime, "fw_run");
    *(void **)&p->new_pool = symbol(runtime, "fw_pool_new");
    *(void **)&p->free_pool = symbol(runtime, "fw_pool_free");
    int64_t (*check)(const int64_t *, int64_t, int64_t), (*memory_bytes)(const int64_t *);
    void (*fill)(const int64_t *, char *, char *);
    *(void **)&check = symbol(runtime, "fw_check");
    *(void **)&memory_bytes = symbol(runtime, "fw_memory_bytes");
    *(void **)&fill = symbol(runtime, "fw_prepare");
    int64_t fault = check(p->words, count, weight_bytes);
    if (fault) {
        put_int(-fault);
        return;
    }
    p->memory = map(pages(memory_bytes(p->words)));
    fill(p->words, p->memory, p->weights);
    put_int((int64_t)p);
}

static void run_program(void) {
    program *p = (program *)get_int();
    int64_t threads = get_int(), inputs = get_int();
    block *given = calloc(inputs + 1, sizeof *given);
    char **in = calloc(inputs + 1, sizeof *in);
    for (int64_t i = 0; i < inputs; i++) given[i] = get_block(), in[i] = given[i].data;
    int64_t outputs, *sizes = get_ints(&outputs);
    block *made = calloc(outputs + 1, sizeof *made);
    char **out = calloc(outputs + 1, sizeof *out);
    for (int64_t i = 0; i < outputs; i++) made[i] = new_block(sizes[i]), out[i] = made[i].data;
    fw_pool *pool = threads > 1 ? p->new_pool(threads) : NULL;
    if (threads > 1 && !pool) stop("no pool of threads");
    p->run(&(fw_frame){p->words, p->kernels, in, out, p->memory, pool, NULL});
    if (pool) p->free_pool(pool);
    for (int64_t i = 0; i < inputs; i++) free_block(given[i]);
    for (int64_t i = 0; i < outputs; i++) put_block(made[i]);
    free(given), free(in), free(sizes), free(made), free(out);
}

int main(void) {
    /* What kernels call is found among what the process has: libm for all. */
    if (!dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL)) stop(dlerror());
    for (;;) {
        char command;
        get(&command, 1);
        switch (command) {
        case 'L': load(); break;
        case 'S': find(); break;
        case 'K': run_kernel(); break;
        case 'V': call(); break;
        case 'P': prepare(); break;
        case 'R': run_program(); break;
        default: stop("unknown command");
        }
        fflush(stdout);
    }
}
