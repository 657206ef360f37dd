/* What every generated kernel includes: vectors, mathematics, gathers, and the narrow float formats. */
#ifndef FW_KERNEL_H
#define FW_KERNEL_H

#include <stdint.h>

#include "fw_vec.h"
#include "fw_math.h"
#include "fw_scalar.h"

/* Reads and writes at one index a lane; lanes from `count` on are left alone. */
#define FW_DEFINE_GATHER(S, T) \
    FW_FN fw_##S##v fw_gather_##S(const T *p, fw_i64v i, int64_t count) { \
        fw_##S##v v = {0}; \
        for (int64_t k = 0; k < count; k++) v[k] = p[i[k]]; \
        return v; \
    } \
    FW_FN void fw_scatter_##S(T *p, fw_i64v i, fw_##S##v v, int64_t count) { \
        for (int64_t k = 0; k < count; k++) p[i[k]] = v[k]; \
    }
FW_ELEMENTS(FW_DEFINE_GATHER)
FW_DEFINE_GATHER(f16, _Float16)

/* bfloat16 is kept in 16 bits and computed with as float32, rounded to nearest even after each operation. */
FW_FN float fws_bf16_value(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    __builtin_memcpy(&value, &wide, 4);
    return value;
}
FW_FN uint16_t fws_bf16_bits(float value) {
    uint32_t wide;
    __builtin_memcpy(&wide, &value, 4);
    if (value != value) return 0x7fc0;
    return (uint16_t)((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}
FW_FN float fws_bf16_round(float value) { return fws_bf16_value(fws_bf16_bits(value)); }

/* float64 to float16, rounded once: rounding to odd in float32 keeps what decides the second rounding. */
FW_FN _Float16 fws_to_f16_f64(double x) {
    float nearest = (float)x;
    uint32_t bits;
    __builtin_memcpy(&bits, &nearest, 4);
    if (x - x == 0 && (double)nearest != x && !(bits & 1)) { /* inexact: the odd neighbour towards x */
        int away = nearest - nearest == 0 && __builtin_fabs((double)nearest) < __builtin_fabs(x);
        bits += away ? 1u : bits ? -1u : 0u;
        __builtin_memcpy(&nearest, &bits, 4);
    }
    return (_Float16)nearest;
}

/* Conversion of what may lie outside the range of int64: saturates, NaN gives the smallest (what x86 gives too). */
FW_FN int64_t fws_to_i64_f64(double x) {
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : x >= 0x1p63 ? INT64_MAX : INT64_MIN;
}
FW_FN int64_t fws_to_i64_f32(float x) { return fws_to_i64_f64(x); }
FW_FN uint64_t fws_to_u64(double x) { return x >= 0x1p63 ? (uint64_t)(x - 0x1p63) + (1ull << 63) : (uint64_t)fws_to_i64_f64(x); }

#endif
