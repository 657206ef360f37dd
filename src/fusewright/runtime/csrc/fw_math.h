/* How does a kernel take the exponential, the logarithm, ... of one vector?
 *
 * BOUNDS
 * The same arithmetic on every target; the coefficients come from scripts/derive_math.py. NaN gives NaN, and infinities,
 * zeros and domain errors give what C's Annex F says, except where a line below says otherwise.
 */
#ifndef FW_MATH_H
#define FW_MATH_H

#include "fw_vec.h"

/* Horner's scheme; each step is one fused multiply-add where the target has it. */
#define FW_P2(t, a, b, c) (((c) * (t) + (b)) * (t) + (a))
#define FW_P3(t, a, b, c, d) (FW_P2(t, b, c, d) * (t) + (a))
#define FW_P4(t, a, b, c, d, e) (FW_P3(t, b, c, d, e) * (t) + (a))
#define FW_P5(t, a, b, c, d, e, f) (FW_P4(t, b, c, d, e, f) * (t) + (a))
#define FW_P6(t, a, b, c, d, e, f, g) (FW_P5(t, b, c, d, e, f, g) * (t) + (a))
#define FW_P7(t, a, b, c, d, e, f, g, h) (FW_P6(t, b, c, d, e, f, g, h) * (t) + (a))
#define FW_P8(t, a, b, c, d, e, f, g, h, i) (FW_P7(t, b, c, d, e, f, g, h, i) * (t) + (a))

#define FW_INF __builtin_inff()
#define FW_NAN __builtin_nanf("")

/* Adding 1.5 * 2^23 leaves the nearest integer in the low bits of a float. */
#define FW_SHIFTER 0x1.8p23f

/* exp: x = n ln2 + r, |r| <= ln2/2; 2 e^r by polynomial, times 2^(n-1). Halving the power keeps its exponent field
 * within 0..254 for every n from -126 to 128, so overflow reaches infinity in the last product, by itself. */
FW_FN fw_f32v fw_exp_f32(fw_f32v x) {
    x = fw_min_f32(x, fw_splat_f32(89.0f));
    x = fw_max_f32(x, fw_splat_f32(-87.5f)); /* n = -126, whose half is 0 */
    fw_f32v t = x * 0x1.715476p+0f + (FW_SHIFTER + 126);
    fw_f32v n = t - (FW_SHIFTER + 126);
    fw_f32v r = x - n * 0x1.63p-1f; /* few bits: the product is exact */
    r = r - n * -0x1.bd0106p-13f;
    fw_f32v p = FW_P5(r, 2.0f, 0x1.fffff6p+0f, 0x1.fffdc6p-1f, 0x1.555a7cp-2f, 0x1.573a1cp-4f, 0x1.0fa1f4p-6f);
    return p * (fw_f32v)((fw_i32v)t << 23);
}

FW_FN fw_f32v fw_sigmoid_f32(fw_f32v x) { return 1 / (1 + fw_exp_f32(-x)); }

/* tanh and erf: x P(x^2)/Q(x^2) up to where the result rounds to 1. */
FW_FN fw_f32v fw_clamp1_f32(fw_f32v x) { return fw_max_f32(fw_min_f32(x, fw_splat_f32(1)), fw_splat_f32(-1)); }

FW_FN fw_f32v fw_tanh_f32(fw_f32v x) {
    x = fw_max_f32(fw_min_f32(x, fw_splat_f32(9.02f)), fw_splat_f32(-9.02f));
    fw_f32v t = x * x;
    fw_f32v p = FW_P4(t, 1.0f, 0x1.1213d6p-3f, 0x1.ca6c5p-9f, 0x1.5a3ed8p-16f, 0x1.cc1482p-27f);
    fw_f32v q = FW_P4(t, 1.0f, 0x1.de5f38p-2f, 0x1.a8171p-6f, 0x1.58d68cp-12f, 0x1.a25436p-21f);
    return fw_clamp1_f32(x * p / q);
}

FW_FN fw_f32v fw_erf_f32(fw_f32v x) {
    x = fw_max_f32(fw_min_f32(x, fw_splat_f32(3.93f)), fw_splat_f32(-3.93f));
    fw_f32v t = x * x;
    fw_f32v p = FW_P5(t, 0x1.20dd74p+0f, 0x1.a5ea9p-3f, 0x1.bf2b2cp-5f, 0x1.1e3252p-8f, 0x1.2ca56ep-12f, 0x1.de237ap-20f);
    fw_f32v q = FW_P5(t, 1.0f, 0x1.0824ecp-1f, 0x1.ecf6e2p-4f, 0x1.094422p-6f, 0x1.51233cp-10f, 0x1.28e21cp-15f);
    return fw_clamp1_f32(x * p / q);
}

/* log: x = 2^e m, sqrt(1/2) <= m < sqrt(2); denormal x is scaled first. */
FW_FN fw_f32v fw_log_f32(fw_f32v x) {
    fw_i32v tiny = x < 0x1p-126f;
    fw_f32v normal = fw_sel_f32(tiny, x * 0x1p23f, x);
    fw_i32v bits = (fw_i32v)normal - 0x3f3504f3; /* sqrt(1/2) */
    fw_f32v e = fw_to_f32((bits >> 23) - (tiny & 23));
    fw_f32v f = (fw_f32v)((bits & 0x7fffff) + 0x3f3504f3) - 1;
    fw_f32v p = FW_P7(f, 0x1.555554p-2f, -0x1.000226p-2f, 0x1.99a01cp-3f, -0x1.54728ap-3f, 0x1.22d93p-3f, -0x1.0d824ap-3f,
                      0x1.055eb6p-3f, -0x1.38c966p-4f);
    fw_f32v y = (f * p - 0.5f) * (f * f);
    y = e * -0x1.bd0106p-13f + y;
    y = e * 0x1.63p-1f + (f + y);
    y = fw_sel_f32(x == FW_INF, x, y);
    fw_f32v edge = fw_sel_f32(x == 0, fw_splat_f32(-FW_INF), fw_splat_f32(FW_NAN));
    return fw_sel_f32(x > 0, y, edge);
}

#endif
