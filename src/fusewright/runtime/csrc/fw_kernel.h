/* What every generated kernel includes: vectors, mathematics, gathers, and conversions. */
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
#include "fw_half.h"

/* Conversion of what may lie outside the range of int64: saturates, NaN gives the smallest (what x86 gives too). */
FW_FN int64_t fws_to_i64_f64(double x) {
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : x >= 0x1p63 ? INT64_MAX : INT64_MIN;
}
FW_FN int64_t fws_to_i64_f32(float x) { return fws_to_i64_f64(x); }
FW_FN uint64_t fws_to_u64(double x) { return x >= 0x1p63 ? (uint64_t)(x - 0x1p63) + (1ull << 63) : (uint64_t)fws_to_i64_f64(x); }

#endif
