/* What needs more than loops over expressions: selection and the like, as functions that kernels call. */
#ifndef FW_ALGORITHMS_H
#define FW_ALGORITHMS_H

#include "fw_kernel.h"

/* The k best of n elements, best first: the largest (or smallest), of equal ones the first; NaN is larger than all.
 *
 * x, values and places are addressed in elements from their offsets in steps of their strides; `heap` has room for k.
 * The heap holds positions of the best so far with the worst of them on top; it is sorted by taking that off.
 */
#define FW_DEFINE_TOPK(S, T, KEY) \
    FW_FN int fw_topk_before_##S(T a, T b, int64_t i, int64_t j, int largest) { \
        int equal = KEY(a) == KEY(b) || (KEY(a) != KEY(a) && KEY(b) != KEY(b)); \
        if (equal) return i < j; \
        int greater = KEY(a) != KEY(a) || (KEY(b) == KEY(b) && KEY(a) > KEY(b)); \
        return largest ? greater : !greater; \
    } \
    FW_FN void fw_topk_sink_##S(const T *x, int64_t step, int64_t *heap, int64_t k, int64_t at, int largest) { \
        for (;;) { \
            int64_t child = 2 * at + 1; \
            if (child >= k) return; \
            int64_t next = child + 1; \
            if (next < k && fw_topk_before_##S(x[heap[child] * step], x[heap[next] * step], heap[child], heap[next], largest)) \
                child = next; \
            if (!fw_topk_before_##S(x[heap[at] * step], x[heap[child] * step], heap[at], heap[child], largest)) return; \
            int64_t worse = heap[child]; \
            heap[child] = heap[at]; \
            heap[at] = worse; \
            at = child; \
        } \
    } \
    static void __attribute__((unused)) fw_topk_##S( \
        const T *x, int64_t x_at, int64_t step, int64_t n, int64_t k, int64_t largest, T *values, int64_t values_at, \
        int64_t values_step, int64_t *places, int64_t places_at, int64_t places_step, int64_t *heap) { \
        x += x_at; \
        for (int64_t i = 0; i < k; i++) heap[i] = i; \
        for (int64_t i = k / 2; i-- > 0;) fw_topk_sink_##S(x, step, heap, k, i, (int)largest); \
        for (int64_t i = k; i < n; i++) \
            if (fw_topk_before_##S(x[i * step], x[heap[0] * step], i, heap[0], (int)largest)) { \
                heap[0] = i; \
                fw_topk_sink_##S(x, step, heap, k, 0, (int)largest); \
            } \
        for (int64_t left = k; left-- > 0;) { \
            int64_t worst = heap[0]; \
            heap[0] = heap[left]; \
            fw_topk_sink_##S(x, step, heap, left, 0, (int)largest); \
            values[values_at + left * values_step] = x[worst * step]; \
            places[places_at + left * places_step] = worst; \
        } \
    }
#define FW_KEY(x) (x)
#define FW_DEFINE_TOPK_PLAIN(S, T) FW_DEFINE_TOPK(S, T, FW_KEY)
FW_ELEMENTS(FW_DEFINE_TOPK_PLAIN)
FW_DEFINE_TOPK(f16, _Float16, FW_KEY)
FW_DEFINE_TOPK(bf16, uint16_t, fws_bf16_value)

#endif
