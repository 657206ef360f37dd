/* What needs more than loops over expressions: selection and the like, as functions that kernels call. */
#ifndef FW_ALGORITHMS_H
#define FW_ALGORITHMS_H

#include "fw_kernel.h"

/* The k best of n elements, best first: the largest (or smallest), of equal ones the first; NaN is larger than all.
 *
 * x, values and places are addressed in elements from their offsets in steps of their strides. The best so far are a
 * heap, for which `at` has room (k places, then k elements), with the worst of them on top; it is sorted by taking that
 * off. Of a row that lies side by side, FW_SCANNED elements that are all worse than it are passed at once.
 */
#define FW_SCANNED 64
#define FW_DEFINE_TOPK(S, T, KEY) \
    FW_FN int fw_topk_before_##S(T a, T b, int64_t i, int64_t j, int largest) { \
        int equal = KEY(a) == KEY(b) || (KEY(a) != KEY(a) && KEY(b) != KEY(b)); \
        if (equal) return i < j; \
        int greater = KEY(a) != KEY(a) || (KEY(b) == KEY(b) && KEY(a) > KEY(b)); \
        return largest ? greater : !greater; \
    } \
    FW_FN void fw_topk_sink_##S(T *best, int64_t *at, int64_t k, int64_t hole, T value, int64_t place, int largest) { \
        for (;;) { \
            int64_t child = 2 * hole + 1; \
            if (child >= k) break; \
            if (child + 1 < k && fw_topk_before_##S(best[child], best[child + 1], at[child], at[child + 1], largest)) \
                child++; \
            if (!fw_topk_before_##S(value, best[child], place, at[child], largest)) break; \
            best[hole] = best[child], at[hole] = at[child]; \
            hole = child; \
        } \
        best[hole] = value, at[hole] = place; \
    } \
    /* Whether none of them is to be taken in; as a sum, for which compilers know vectors. */ \
    FW_FN int fw_topk_all_worse_##S(const T *x, T worst, int largest) { \
        int better = 0; \
        if (KEY(worst) != KEY(worst)) { \
            if (!largest) for (int i = 0; i < FW_SCANNED; i++) better += KEY(x[i]) == KEY(x[i]); \
        } else if (largest) for (int i = 0; i < FW_SCANNED; i++) better += !(KEY(x[i]) <= KEY(worst)); \
        else for (int i = 0; i < FW_SCANNED; i++) better += KEY(x[i]) < KEY(worst); \
        return !better; \
    } \
    static void __attribute__((unused)) fw_topk_##S( \
        const T *x, int64_t x_at, int64_t step, int64_t n, int64_t k, int64_t is_largest, T *values, int64_t values_at, \
        int64_t values_step, int64_t *places, int64_t places_at, int64_t places_step, int64_t *at) { \
        int largest = (int)is_largest; \
        T *best = (T *)(at + k); \
        x += x_at; \
        for (int64_t i = 0; i < k; i++) best[i] = x[i * step], at[i] = i; \
        for (int64_t i = k / 2; i-- > 0;) fw_topk_sink_##S(best, at, k, i, best[i], at[i], largest); \
        for (int64_t i = k; i < n;) { \
            int64_t end = n - i < FW_SCANNED ? n : i + FW_SCANNED; \
            if (step == 1 && end - i == FW_SCANNED && fw_topk_all_worse_##S(x + i, best[0], largest)) i = end; \
            for (; i < end; i++) \
                if (fw_topk_before_##S(x[i * step], best[0], i, at[0], largest)) \
                    fw_topk_sink_##S(best, at, k, 0, x[i * step], i, largest); \
        } \
        for (int64_t left = k; left-- > 0;) { \
            values[values_at + left * values_step] = best[0], places[places_at + left * places_step] = at[0]; \
            if (left) fw_topk_sink_##S(best, at, left, 0, best[left], at[left], largest); \
        } \
    }
#define FW_KEY(x) (x)
#define FW_DEFINE_TOPK_PLAIN(S, T) FW_DEFINE_TOPK(S, T, FW_KEY)
FW_ELEMENTS(FW_DEFINE_TOPK_PLAIN)
FW_DEFINE_TOPK(f16, uint16_t, fws_value_f16)
FW_DEFINE_TOPK(bf16, uint16_t, fws_value_bf16)

/* to[to_at + d * to_step + r] = from[at + r * step + d] for r < rows and d < depth, zeros for rows <= r < FW_LANES: what
 * lies side by side comes to lie apart. In blocks of FW_LANES x FW_LANES, whose halves trade places, then the halves of
 * these, and so on. */
#define FW_SHUFFLED(...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define FW_TRADE(H, LOW, HIGH) \
    _Pragma("GCC unroll 16") for (int i = 0; i < FW_LANES; i++) { \
        if (i & (H)) continue; \
        fw_f32v a = block[i], b = block[i + (H)]; \
        block[i] = FW_SHUFFLED LOW; \
        block[i + (H)] = FW_SHUFFLED HIGH; \
    }
#if FW_LANES == 16
#define FW_LOWER_TURNS 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define FW_UPPER_TURNS 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define FW_TRADES \
    FW_TRADE(8, (0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), \
             (8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)) \
    FW_TRADE(4, (0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27), \
             (4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)) \
    FW_TRADE(2, (0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29), \
             (2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)) \
    FW_TRADE(1, (0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30), \
             (1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#elif FW_LANES == 8
#define FW_LOWER_TURNS 0, 8, 1, 9, 2, 10, 3, 11
#define FW_UPPER_TURNS 4, 12, 5, 13, 6, 14, 7, 15
#define FW_TRADES \
    FW_TRADE(4, (0, 1, 2, 3, 8, 9, 10, 11), \
             (4, 5, 6, 7, 12, 13, 14, 15)) \
    FW_TRADE(2, (0, 1, 8, 9, 4, 5, 12, 13), \
             (2, 3, 10, 11, 6, 7, 14, 15)) \
    FW_TRADE(1, (0, 8, 2, 10, 4, 12, 6, 14), \
             (1, 9, 3, 11, 5, 13, 7, 15))
#else
#define FW_LOWER_TURNS 0, 4, 1, 5
#define FW_UPPER_TURNS 2, 6, 3, 7
#define FW_TRADES \
    FW_TRADE(2, (0, 1, 4, 5), \
             (2, 3, 6, 7)) \
    FW_TRADE(1, (0, 4, 2, 6), \
             (1, 5, 3, 7))
#endif
FW_FN void fw_store_turned(fw_f32v block[FW_LANES], int64_t depth, float *to, int64_t to_step) {
    FW_TRADES
    _Pragma("GCC unroll 16") for (int d = 0; d < FW_LANES; d++)
        if (d < depth) fw_store_f32(to + d * to_step, block[d]);
}
FW_FN void fw_transpose_block(const float *from, int64_t step, int64_t rows, int64_t depth, float *to, int64_t to_step) {
    fw_f32v block[FW_LANES];
    _Pragma("GCC unroll 16") for (int r = 0; r < FW_LANES; r++)
        block[r] = r < rows ? fw_load_f32_n(from + r * step, depth) : fw_splat_f32(0);
    fw_store_turned(block, depth, to, to_step);
}
static void __attribute__((unused)) fw_transpose_f32(
    const float *from, int64_t at, int64_t step, int64_t rows, int64_t depth, float *to, int64_t to_at, int64_t to_step) {
    from += at, to += to_at;
    for (int64_t d = 0; d < depth; d += FW_LANES) {
        int64_t left = depth - d;
        if (rows == FW_LANES && left >= FW_LANES)
            fw_transpose_block(from + d, step, FW_LANES, FW_LANES, to + d * to_step, to_step);
        else
            fw_transpose_block(from + d, step, rows, left < FW_LANES ? left : FW_LANES, to + d * to_step, to_step);
    }
}

/* to[to_at + d * to_step + r] = from[at + r * step + d] for r < rows and d < depth: a copy in the other order. A block
 * touches as many rows, too many for the processor to see that each is read on: so the lines that follow are asked for. */
#define FW_LINE (64 / (int64_t)sizeof(float))
#define FW_LINES_AHEAD 4
static void __attribute__((unused, noinline, cold)) fw_turn_edge(
    const float *from, int64_t step, int64_t rows, int64_t depth, float *to, int64_t to_step) {
    for (int64_t d = 0; d < depth; d++)
        for (int64_t r = 0; r < rows; r++) to[d * to_step + r] = from[r * step + d];
}
static void __attribute__((unused)) fw_turn_f32(
    const float *from, int64_t at, int64_t step, int64_t rows, int64_t depth, float *to, int64_t to_at, int64_t to_step) {
    int64_t whole = rows / FW_LANES * FW_LANES, even = depth / FW_LANES * FW_LANES;
    from += at, to += to_at;
    for (int64_t d = 0; d < even; d += FW_LANES)
        for (int64_t r = 0; r < whole; r += FW_LANES) {
            const float *block = from + r * step + d;
            if (d % FW_LINE == 0)
                for (int i = 0; i < FW_LANES; i++) __builtin_prefetch(block + i * step + FW_LINES_AHEAD * FW_LINE);
            fw_transpose_block(block, step, FW_LANES, FW_LANES, to + d * to_step + r, to_step);
        }
    fw_turn_edge(from + even, step, whole, depth - even, to + even * to_step, to_step);
    fw_turn_edge(from + whole * step, step, rows - whole, depth, to + whole, to_step);
}

FW_FN fw_f32v fw_load_some_f32(const float *x, int64_t count) {
    return count >= FW_LANES ? fw_load_f32(x) : fw_load_f32_n(x, count);
}

/* to[to_at + d * to_step + r] = from[at + r / inner * outer_step + r % inner * inner_step + d] for d < depth and
 * first <= r < last, zeros for the others of `rows`: columns of what lies in rows, `inner` of which are a step apart.
 * The last rows come first: up to FW_LANES - 1 zeros behind them are overwritten, except behind the last column. */
FW_FN void fw_columns_block(const float *const *from, int64_t depth, float *to, int64_t to_step) {
    fw_f32v block[FW_LANES];
    _Pragma("GCC unroll 16") for (int r = 0; r < FW_LANES; r++) block[r] = fw_load_some_f32(from[r], depth);
    fw_store_turned(block, depth, to, to_step);
}
static void __attribute__((unused)) fw_columns_f32(
    const float *from, int64_t at, int64_t inner, int64_t inner_step, int64_t outer_step, int64_t rows, int64_t first,
    int64_t last, int64_t depth, float *to, int64_t to_at, int64_t to_step) {
    const float zeros[FW_LANES] = {0}, *row[FW_LANES];
    int64_t step[FW_LANES];
    for (int64_t begin = (rows - 1) / FW_LANES * FW_LANES; begin >= 0; begin -= FW_LANES) {
        for (int64_t i = 0, r = begin; i < FW_LANES; i++, r++) {
            step[i] = r >= first && r < last ? FW_LANES : 0;
            row[i] = step[i] ? from + (at + r / inner * outer_step + r % inner * inner_step) : zeros;
        }
        float *column = to + to_at + begin;
        for (int64_t left = depth; left > 0; left -= FW_LANES, column += FW_LANES * to_step) {
            if (left >= FW_LANES) fw_columns_block(row, FW_LANES, column, to_step);
            else fw_columns_block(row, left, column, to_step);
            for (int i = 0; i < FW_LANES; i++) row[i] += step[i];
        }
    }
}

/* Ask for `count` elements from p[at] on to come to the first or second cache; they may lie behind the end of what p
 * points to. What is far off goes to the second: few lines can be on their way to the first at once. */
#define FW_PREFETCH(NAME, CACHE) \
    FW_FN void fw_prefetch_##NAME##_f32(const float *p, int64_t at, int64_t count) { \
        for (int64_t i = 0; i < count; i += 64 / (int64_t)sizeof(float)) __builtin_prefetch(p + at + i, 0, 4 - CACHE); \
    }
FW_PREFETCH(l1, 1)
FW_PREFETCH(l2, 2)

/* to = from * s for a power of two s by which the mean square of these k elements is about 1/4 to 1. They come to lie in
 * pieces of FW_PIECE, `step` apart; in each, as far as there are six or more, the first third is paired with the second.
 * Behind them come minus the sum of the products of these pairs, of which every other one is subtracted, and 1 / s: 0 if
 * all elements are. With factors, element i is from[i] * factors[i]. */
#define FW_PIECE 48
#define FW_SAMPLED 320 /* from so many elements on, the size of 64 of them is taken for that of all, and looked at later */
FW_FN fw_f32v fw_scaled_some_f32(const float *x, const float *factors, int64_t i, int64_t count) {
    fw_f32v value = fw_load_some_f32(x + i, count);
    return factors ? value * fw_load_some_f32(factors + i, count) : value;
}
FW_FN void fw_store_some_f32(float *x, fw_f32v value, int64_t count) {
    if (count >= FW_LANES) fw_store_f32(x, value);
    else fw_store_f32_n(x, value, count);
}
FW_FN float fw_power_of_two(int32_t exponent) {
    union { int32_t bits; float value; } power = {(exponent + 127) << 23};
    return power.value;
}
FW_FN int32_t fw_half_exponent(float x) { /* floor(log2(x) / 2) + 1 */
    union { float value; int32_t bits; } number = {x};
    return ((number.bits >> 23) - 125) >> 1;
}
/* Squares and products of pairs, of `factor` times the elements, which go to `to` if there is one: the sums of the lanes
 * are what is wanted, where every other product is subtracted. */
typedef struct { fw_f32v squares, products; } fw_parts;
FW_FN fw_parts fw_parts_of_pairs(
    const float *x, const float *factors, int64_t k, float factor, float *to, int64_t step) {
    enum { VECTORS = FW_PIECE / FW_LANES }; /* as many sums: one alone would wait for itself */
    fw_f32v square[VECTORS] = {0}, product = fw_splat_f32(0);
    for (int64_t start = 0; start < k; start += FW_PIECE) {
        int64_t count = k - start < FW_PIECE ? k - start : FW_PIECE, pairs = count / 6 * 2;
        _Pragma("GCC unroll 12") for (int v = 0; v < VECTORS; v++) {
            int64_t i = v * FW_LANES;
            if (i >= count) break;
            fw_f32v own = fw_scaled_some_f32(x, factors, start + i, count - i) * factor;
            if (to) fw_store_some_f32(to + i, own, count - i);
            square[v] = own * own + square[v];
        }
        for (int64_t i = 0; i < pairs; i += FW_LANES) {
            fw_f32v own = fw_scaled_some_f32(x, factors, start + i, pairs - i) * factor;
            product = own * (fw_scaled_some_f32(x, factors, start + pairs + i, pairs - i) * factor) + product;
        }
        to += to ? step : 0;
    }
    for (int v = 1; v < VECTORS; v++) square[0] += square[v];
    return (fw_parts){square[0], product};
}
FW_FN void fw_sums_of_pairs(const float *x, const float *factors, int64_t k, float factor, float *to, int64_t step,
                            float *squares, float *products) {
    fw_f32v signs = fw_splat_f32(1);
    for (int i = 1; i < FW_LANES; i += 2) signs[i] = -1;
    fw_parts parts = fw_parts_of_pairs(x, factors, k, factor, to, step);
    *squares = fw_hsum_f32(parts.squares), *products = fw_hsum_f32(parts.products * signs);
}
FW_FN void fw_behind_pairs(int64_t k, float products, float undone, float *to, int64_t step) {
    to[k / FW_PIECE * step + k % FW_PIECE] = -products;
    to[(k + 1) / FW_PIECE * step + (k + 1) % FW_PIECE] = undone;
}
/* The scale of a row, by looking at all of it first, and what stands behind it. */
typedef struct { float scale, products, undone; } fw_row;
FW_FN fw_row fw_row_with(const float *from, const float *factors, int64_t k, float squares, float products) {
    float first = 1;
    if (__builtin_expect(!(squares > 0x1p-90f && squares < 0x1p90f), 0)) { /* zeros, no numbers, or squares out of range */
        first = squares < 1 ? 0x1p62f : 0x1p-70f;
        fw_sums_of_pairs(from, factors, k, first, 0, 0, &squares, &products);
    }
    int32_t exponent = fw_half_exponent(squares * (1 / (float)k));
    float scale = fw_power_of_two(-exponent);
    float undone = squares > 0 ? fw_power_of_two(exponent) / first : squares; /* 0, or no number */
    return (fw_row){first * scale, products * scale * scale, undone};
}
FW_FN fw_row fw_row_of(const float *from, const float *factors, int64_t k) {
    float squares, products;
    fw_sums_of_pairs(from, factors, k, 1, 0, 0, &squares, &products);
    return fw_row_with(from, factors, k, squares, products);
}
FW_FN void fw_balance_twice(const float *from, const float *factors, int64_t k, float *to, int64_t step) {
    fw_row row = fw_row_of(from, factors, k);
    for (int64_t start = 0, at = 0; start < k; start += FW_PIECE, at += step) {
        int64_t count = k - start < FW_PIECE ? k - start : FW_PIECE;
        for (int64_t i = 0; i < count; i += FW_LANES) {
            fw_f32v element = fw_scaled_some_f32(from, factors, start + i, count - i);
            fw_store_some_f32(to + at + i, element * row.scale, count - i);
        }
    }
    fw_behind_pairs(k, row.products, row.undone, to, step);
}
static void __attribute__((unused, noinline, cold)) fw_balance_again(
    const float *from, const float *factors, int64_t k, float *to, int64_t step) {
    fw_balance_twice(from, factors, k, to, step);
}
FW_FN void fw_balance(const float *from, const float *factors, int64_t k, float *to, int64_t step) {
    if (k < FW_SAMPLED) {
        fw_balance_twice(from, factors, k, to, step);
        return;
    }
    enum { VECTORS = 64 / FW_LANES };
    fw_f32v sample = fw_splat_f32(0);
    _Pragma("GCC unroll 16") for (int v = 0; v < VECTORS; v++) {
        fw_f32v own = fw_scaled_some_f32(from, factors, (2 * v + 1) * (k / FW_LANES) / (2 * VECTORS) * FW_LANES, FW_LANES);
        sample = own * own + sample;
    }
    int32_t exponent = fw_half_exponent(fw_hsum_f32(sample) * (1 / 64.f));
    float squares, products;
    fw_sums_of_pairs(from, factors, k, fw_power_of_two(-exponent), to, step, &squares, &products);
    squares *= 1 / (float)k;
    if (__builtin_expect(squares > 0x1p-6f && squares < 0x1p2f, 1))
        fw_behind_pairs(k, products, fw_power_of_two(exponent), to, step);
    else fw_balance_again(from, factors, k, to, step);
}
FW_FN void fw_balance_f32(const float *from, int64_t from_at, int64_t k, float *to, int64_t to_at, int64_t step) {
    fw_balance(from + from_at, 0, k, to + to_at, step);
}
/* The same of two rows, from[at] on and from[other] on, whose elements come to lie in turns. */
FW_FN void fw_balance_twins(
    const float *one, const float *other, const float *factors, int64_t k, float *to, int64_t step) {
    fw_row first = fw_row_of(one, factors, k), second = fw_row_of(other, factors, k);
    for (int64_t start = 0, at = 0; start < k; start += FW_PIECE, at += step) {
        int64_t count = k - start < FW_PIECE ? k - start : FW_PIECE;
        for (int64_t i = 0; i < count; i += FW_LANES) {
            fw_f32v a = fw_scaled_some_f32(one, factors, start + i, count - i) * first.scale;
            fw_f32v b = fw_scaled_some_f32(other, factors, start + i, count - i) * second.scale;
            float *place = to + at + 2 * i;
            fw_store_some_f32(place, FW_SHUFFLED(FW_LOWER_TURNS), 2 * (count - i));
            if (2 * (count - i) > FW_LANES)
                fw_store_some_f32(place + FW_LANES, FW_SHUFFLED(FW_UPPER_TURNS), 2 * (count - i) - FW_LANES);
        }
    }
    float behind[2][2] = {{-first.products, -second.products}, {first.undone, second.undone}};
    for (int64_t i = 0; i < 2; i++)
        for (int64_t r = 0; r < 2; r++) to[(k + i) / FW_PIECE * step + (k + i) % FW_PIECE * 2 + r] = behind[i][r];
}
FW_FN void fw_balance_twins_f32(
    const float *from, int64_t at, int64_t other, int64_t k, float *to, int64_t to_at, int64_t step) {
    fw_balance_twins(from + at, from + other, 0, k, to + to_at, step);
}
FW_FN void fw_balance_twins_scaled_f32(const float *from, int64_t at, int64_t other, const float *factors, int64_t k,
                                       float *to, int64_t to_at, int64_t step) {
    fw_balance_twins(from + at, from + other, factors, k, to + to_at, step);
}
/* What `rows` rows of k elements, `step` apart, need to be read where they lie: to[rows * step] and behind hold for each
 * row what stands behind a balanced one, and then 0 if 1 undoes the scale of each, else 1. If one row's mean square is not
 * between 1/64 and 16, nor all of it is 0, they all are copied to `to`, as far apart, those balanced of which that is so,
 * and the last number is 2. */
FW_FN int fw_about_one(float squares, int64_t k) {
    return squares > (float)k * 0x1p-6f && squares < (float)k * 0x1p4f;
}
typedef struct { fw_four squares, products; } fw_sums;
FW_FN fw_sums fw_sums_of_rows(const float *a, const float *b, const float *c, const float *d, int64_t k) {
    fw_parts pa = fw_parts_of_pairs(a, 0, k, 1, 0, 0), pb = fw_parts_of_pairs(b, 0, k, 1, 0, 0);
    fw_f32v ab = fw_add_neighbours_f32(pa.squares, pb.squares);
    fw_f32v products = fw_subtract_neighbours_f32(pa.products, pb.products);
    fw_parts pc = fw_parts_of_pairs(c, 0, k, 1, 0, 0), pd = fw_parts_of_pairs(d, 0, k, 1, 0, 0);
    return (fw_sums){fw_hsums_f32(ab, fw_add_neighbours_f32(pc.squares, pd.squares)),
                     fw_hsums_f32(products, fw_subtract_neighbours_f32(pc.products, pd.products))};
}
static void __attribute__((unused, noinline, cold)) fw_balance_rows_again(
    const float *from, int64_t step, int64_t k, int64_t rows, float *to, float *behind) {
    int copied = 0;
    for (int64_t r = 0; r < rows && !copied; r++) {
        const float *row = from + r * step;
        if (!fw_about_one(fw_sums_of_rows(row, row, row, row, k).squares[0], k))
            for (int64_t i = 0; i < k; i++) copied |= !(row[i] == 0);
    }
    for (int64_t r = 0; r < rows; r++, from += step, to += step) {
        fw_sums sums = fw_sums_of_rows(from, from, from, from, k);
        float squares = sums.squares[0], products = sums.products[0];
        fw_row row = {1, products, squares > 0};
        if (!fw_about_one(squares, k)) row = fw_row_with(from, 0, k, squares, products);
        for (int64_t i = 0; i < k && copied; i += FW_LANES)
            fw_store_some_f32(to + i, fw_load_some_f32(from + i, k - i) * row.scale, k - i);
        behind[2 * r] = -row.products, behind[2 * r + 1] = row.undone;
    }
    behind[2 * rows] = 1 + copied;
}
/* The same of four rows, if none has to be scaled: whether that is so. */
FW_FN int fw_behind_rows(const float *from, int64_t step, int64_t k, float *behind) {
    fw_sums sums = fw_sums_of_rows(from, from + step, from + 2 * step, from + 3 * step, k);
    int alike = 1;
    for (int r = 0; r < 4; r++) {
        behind[2 * r] = -sums.products[r], behind[2 * r + 1] = 1;
        alike &= fw_about_one(sums.squares[r], k);
    }
    return alike;
}
FW_FN void fw_balance_rows_f32(
    const float *from, int64_t at, int64_t step, int64_t k, int64_t rows, float *to, int64_t to_at) {
    const float *first = from + at;
    float *behind = to + to_at + rows * step;
    int alike = rows >= 4;
    for (int64_t r = 0; r < rows && alike; r += 4) {
        int64_t start = r + 4 <= rows ? r : rows - 4;
        alike = fw_behind_rows(first + start * step, step, k, behind + 2 * start);
    }
    behind[2 * rows] = 0;
    if (__builtin_expect(!alike, 0)) fw_balance_rows_again(first, step, k, rows, to + to_at, behind);
}
FW_FN void fw_balance_scaled_f32(
    const float *from, int64_t from_at, const float *factors, int64_t k, float *to, int64_t to_at, int64_t step) {
    fw_balance(from + from_at, factors, k, to + to_at, step);
}

#endif
