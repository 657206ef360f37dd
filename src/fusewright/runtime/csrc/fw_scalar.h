/* What is the meaning of each operation for one element, and of those that have no vector instruction for a vector?
 *
 * fws_NAME_TYPE(x) gives exactly what lane 0 of fw_NAME_TYPE gives: a loop's remainder agrees with its body.
 * Integer division never traps: x / 0 is 0, x % 0 is 0 and the most negative value / -1 wraps to itself.
 */
#ifndef FW_SCALAR_H
#define FW_SCALAR_H

#include "fw_math.h"

#define FW_FLOATS(X) X(f32, float) X(f64, double)
#define FW_SIGNED(X) X(i8, int8_t) X(i16, int16_t) X(i32, int32_t) X(i64, int64_t)
#define FW_UNSIGNED(X) X(u8, uint8_t) X(u16, uint16_t) X(u32, uint32_t) X(u64, uint64_t)

/* Floats ---------------------------------------------------------------------------------------------------------- */

#define FWS_LANE(NAME, S, T) \
    FW_FN T fws_##NAME##_##S(T x) { return fw_##NAME##_##S(fw_splat_##S(x))[0]; }
#define FWS_MATH_f32(NAME) FWS_LANE(NAME, f32, float)
#define FWS_MATH_f64(NAME) FW_FN double fws_##NAME##_f64(double x) { return __builtin_##NAME(x); }
FW_LIBM(FWS_MATH_f32)
FW_LIBM(FWS_MATH_f64)
FWS_LANE(exp_low, f32, float)
FWS_LANE(sigmoid, f32, float)
FWS_LANE(silu, f32, float)
FWS_LANE(silu_log2, f32, float)
FWS_LANE(softplus, f32, float)
FW_FN double fws_exp_low_f64(double x) { return __builtin_exp(x); }
FW_FN double fws_sigmoid_f64(double x) { return 1 / (1 + fws_exp_f64(-x)); }
FW_FN float fws_pow_f32(float x, float y) { return fw_pow_f32(fw_splat_f32(x), fw_splat_f32(y))[0]; }
FW_FN double fws_pow_f64(double x, double y) { return __builtin_pow(x, y); }

/* max and min give NaN if either is NaN. mod has the divisor's sign (Python's %), fmod the dividend's (C's fmod). */
#define FWS_DEFINE_FLOAT(S, T) \
    FWS_LANE(abs, S, T) FWS_LANE(sign, S, T) \
    FWS_LANE(round, S, T) FWS_LANE(floor, S, T) FWS_LANE(ceil, S, T) FWS_LANE(trunc, S, T) \
    FWS_LANE(sqrt, S, T) FWS_LANE(rsqrt, S, T) FWS_LANE(recip, S, T) \
    FW_FN T fws_max_##S(T a, T b) { return b != b ? b : b > a ? b : a; } \
    FW_FN T fws_min_##S(T a, T b) { return b != b ? b : b < a ? b : a; } \
    FW_FN T fws_fma_##S(T a, T b, T c) { return a * b + c; } \
    FW_FN T fws_neg_##S(T a) { return -a; } \
    FW_FN int fws_isnan_##S(T a) { return a != a; } \
    FW_FN int fws_isinf_##S(T a) { return a == FW_INF || a == -FW_INF; } \
    FW_FN T fws_copysign_##S(T a, T s) { return fw_copysign_##S(fw_splat_##S(a), fw_splat_##S(s))[0]; } \
    FW_FN T fws_fmod_##S(T a, T b) { return (T)FWS_FMOD_##S(a, b); } \
    FW_FN T fws_mod_##S(T a, T b) { \
        T r = fws_fmod_##S(a, b); \
        if (r == 0) return fws_copysign_##S(r, b); \
        return (r < 0) != (b < 0) ? r + b : r; \
    }
#define FWS_FMOD_f32 __builtin_fmodf
#define FWS_FMOD_f64 __builtin_fmod
FW_FLOATS(FWS_DEFINE_FLOAT)
FW_FN double fws_softplus_f64(double x) { return fws_max_f64(x, 0) + fws_log1p_f64(fws_exp_f64(-fws_abs_f64(x))); }

/* Integers -------------------------------------------------------------------------------------------------------- */

#define FWS_DEFINE_INTEGER(S, T) \
    FW_FN T fws_max_##S(T a, T b) { return a > b ? a : b; } \
    FW_FN T fws_min_##S(T a, T b) { return a < b ? a : b; }
FW_SIGNED(FWS_DEFINE_INTEGER)
FW_UNSIGNED(FWS_DEFINE_INTEGER)

/* Arithmetic through uint64_t wraps as NumPy's does; C leaves signed overflow undefined. */
#define FWS_DEFINE_SIGNED(S, T) \
    FW_FN T fws_neg_##S(T a) { return (T)(0 - (uint64_t)a); } \
    FW_FN T fws_abs_##S(T a) { return a < 0 ? fws_neg_##S(a) : a; } \
    FW_FN T fws_sign_##S(T a) { return (T)((a > 0) - (a < 0)); } \
    FW_FN T fws_div_##S(T a, T b) { return b == 0 ? 0 : b == -1 ? fws_neg_##S(a) : (T)(a / b); } \
    FW_FN T fws_fmod_##S(T a, T b) { return b == 0 || b == -1 ? 0 : (T)(a % b); } \
    FW_FN T fws_mod_##S(T a, T b) { \
        T r = fws_fmod_##S(a, b); \
        return r != 0 && (r < 0) != (b < 0) ? (T)(r + b) : r; \
    }
FW_SIGNED(FWS_DEFINE_SIGNED)

#define FWS_DEFINE_UNSIGNED(S, T) \
    FW_FN T fws_neg_##S(T a) { return (T)(0 - (uint64_t)a); } \
    FW_FN T fws_abs_##S(T a) { return a; } \
    FW_FN T fws_sign_##S(T a) { return (T)(a > 0); } \
    FW_FN T fws_div_##S(T a, T b) { return b == 0 ? 0 : (T)(a / b); } \
    FW_FN T fws_fmod_##S(T a, T b) { return b == 0 ? 0 : (T)(a % b); } \
    FW_FN T fws_mod_##S(T a, T b) { return fws_fmod_##S(a, b); }
FW_UNSIGNED(FWS_DEFINE_UNSIGNED)

/* a to the power b, wrapping; a negative power of 1 or -1 is that or 1, of anything else 0, as truncation has it. */
FW_FN uint64_t fws_upow(uint64_t a, uint64_t b) {
    uint64_t r = 1;
    for (; b; b >>= 1, a *= a)
        if (b & 1) r *= a;
    return r;
}
#define FWS_DEFINE_SIGNED_POW(S, T) \
    FW_FN T fws_pow_##S(T a, T b) { \
        if (b >= 0) return (T)fws_upow((uint64_t)a, (uint64_t)b); \
        return a == 1 ? 1 : a == -1 ? (T)(b & 1 ? -1 : 1) : 0; \
    }
#define FWS_DEFINE_UNSIGNED_POW(S, T) \
    FW_FN T fws_pow_##S(T a, T b) { return (T)fws_upow(a, b); }
FW_SIGNED(FWS_DEFINE_SIGNED_POW)
FW_UNSIGNED(FWS_DEFINE_UNSIGNED_POW)

/* Shifts by any count: beyond the width everything is shifted out. */
#define FWS_DEFINE_SHIFT(S, T) \
    FW_FN T fws_shl_##S(T a, T b) { return b < 8 * sizeof(T) ? (T)((uint64_t)a << b) : 0; } \
    FW_FN T fws_shr_##S(T a, T b) { return b < 8 * sizeof(T) ? (T)(a >> b) : 0; }
FW_UNSIGNED(FWS_DEFINE_SHIFT)
#define FWS_IN_RANGE(T, b) ((b) >= 0 && (b) < 8 * (int)sizeof(T))
#define FWS_DEFINE_SIGNED_SHIFT(S, T) \
    FW_FN T fws_shl_##S(T a, T b) { return FWS_IN_RANGE(T, b) ? (T)((uint64_t)a << b) : 0; } \
    FW_FN T fws_shr_##S(T a, T b) { return FWS_IN_RANGE(T, b) ? (T)(a >> b) : a < 0 ? -1 : 0; }
FW_SIGNED(FWS_DEFINE_SIGNED_SHIFT)

/* The same for vectors, lane by lane ------------------------------------------------------------------------------ */

#define FW_DEFINE_LANES(NAME, S) \
    FW_FN fw_##S##v fw_##NAME##_##S(fw_##S##v a, fw_##S##v b) { \
        for (int i = 0; i < FW_LANES; i++) a[i] = fws_##NAME##_##S(a[i], b[i]); \
        return a; \
    }
#define FW_DEFINE_MODULO(S, T) FW_DEFINE_LANES(mod, S) FW_DEFINE_LANES(fmod, S)
#define FW_DEFINE_DIVISION(S, T) FW_DEFINE_LANES(div, S) FW_DEFINE_LANES(pow, S)
#define FW_DEFINE_SHIFT(S, T) FW_DEFINE_LANES(shl, S) FW_DEFINE_LANES(shr, S)
FW_FLOATS(FW_DEFINE_MODULO)
FW_SIGNED(FW_DEFINE_MODULO)
FW_UNSIGNED(FW_DEFINE_MODULO)
FW_SIGNED(FW_DEFINE_DIVISION)
FW_UNSIGNED(FW_DEFINE_DIVISION)
FW_UNSIGNED(FW_DEFINE_SHIFT)
FW_SIGNED(FW_DEFINE_SHIFT)

#endif
