/* How does a kernel take the exponential, the logarithm, ... of one vector?
 *
 * Largest error found, in ulp of the result (with and without fused multiply-add), and vector instructions for one
 * vector on AVX-512 / AVX2 / SSE2, constants and the load and store not counted:
 *
 *   exp        2.0  2.3    13 / 13 / 21    below 1.7e-38 the result is 0
 *   exp_low    2.0  2.3    12 / 12 / 20    exp where no argument is beyond 89: one constant less to hold in registers
 *   sigmoid    3.5  3.5    15 / 15 / 24    one division; below 3e-39 the result is 0
 *   silu       3.1  3.2    10 / 15 / 24    one division; below 1.6e-36 it is 0; AVX-512: 8, and 1.2|x| for negative x
 *   silu_log2  3.7  4.0     9 / 13 / 19    silu(-ln2 z); AVX-512: 9.8
 *   tanh       5.4  5.8    15 / 15 / 23    one division; relative error below 3.5e-7 = 3 * 2^-23 everywhere, but an ulp
 *   erf        5.7  6.6    17 / 17 / 27    one division; just below 1 is 2^-24. Never beyond 1, exactly 1 where it rounds
 *   log        0.9  0.9    26 / 31 / 49    denormal arguments included
 *   log1p      1.5  1.5    34 / 41 / 61
 *   softplus   3.0  3.2    25 / 25 / 42    below 1.7e-38 the result is 0
 *   expm1      3.8  4.1    22 / 23 / 40
 *   sin, cos   2.0  2.0    47 / 63 / 60    |x| >= 2^20: the C library's sinf, cosf, tanf, lane by lane
 *   tan        3.8  4.0    54 / 70 / 64
 *   asin       2.2  2.2    14 / 19 / 32
 *   acos       1.1  1.1    16 / 20 / 34
 *   atan       1.5  1.5    16 / 20 / 32
 *   sinh       2.7  2.7    26 / 31 / 48
 *   cosh       2.7  2.7    19 / 21 / 33
 *   asinh      2.1  2.1    44 / 55 / 79
 *   acosh      1.7  1.7    42 / 52 / 79
 *   atanh      2.3  2.3    40 / 49 / 69
 *   pow        0.51 0.51   94 / 109 / 182  in double precision
 *
 * tests/unit/test_vector_math.py holds these bounds. The arithmetic is the same on every target, but for silu's; the
 * coefficients come from scripts/derive_math.py. NaN gives NaN (but pow(1, NaN) = pow(NaN, 0) = 1), and infinities,
 * zeros of either sign and domain errors give what C's Annex F says. Double precision functions are the C library's
 * (exp, log, ..., resolved from the process); mod and fmod of floats take its fmod.
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
FW_FN fw_f32v fw_exp_low_f32(fw_f32v x) { /* x <= 89, or NaN */
    x = fw_max_f32(x, fw_splat_f32(-87.5f)); /* n = -126, whose half is 0 */
    fw_f32v t = x * 0x1.715476p+0f + (FW_SHIFTER + 126);
    fw_f32v n = t - (FW_SHIFTER + 126);
    fw_f32v r = x - n * 0x1.63p-1f; /* few bits: the product is exact */
    r = r - n * -0x1.bd0106p-13f;
    fw_f32v p = FW_P5(r, 2.0f, 0x1.fffff6p+0f, 0x1.fffdc6p-1f, 0x1.555a7cp-2f, 0x1.573a1cp-4f, 0x1.0fa1f4p-6f);
    return p * (fw_f32v)((fw_i32v)t << 23);
}

FW_FN fw_f32v fw_exp_f32(fw_f32v x) { return fw_exp_low_f32(fw_min_f32(x, fw_splat_f32(89.0f))); }
FW_FN fw_f32v fw_sigmoid_f32(fw_f32v x) { return 1 / (1 + fw_exp_f32(-x)); }

/* silu: x sigmoid(x) = x / (1 + e^-x), and silu_log2(z) = silu(-ln2 z) = z / (s + s 2^z) for s = -log2(e). With AVX-512,
 * 2^z is 2^(n + j/16 + r), 0 <= r < 1/16: one instruction gives r, one reads 2^(j/16) from a register, one multiplies by
 * 2^n and has the right answer where that is infinite or nothing. */
#if FW_LANES == 16 && defined(__AVX512DQ__)
#define FW_SIXTEENTHS 0x1.8p19f /* added, rounding down: the last four bits count sixteenths */
FW_FN fw_f32v fw_one_and_power_f32(float s, fw_f32v z) { /* s (1 + 2^z), for a constant s */
    const fw_f32v powers = { /* 2^(j/16) */
        0x1p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f,
        0x1.306fep+0f, 0x1.3dea64p+0f, 0x1.4bfdaep+0f, 0x1.5ab07ep+0f,
        0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f,
        0x1.ae89fap+0f, 0x1.c199bep+0f, 0x1.d5818ep+0f, 0x1.ea4afap+0f};
    fw_i32v j = (fw_i32v)fw_add_down_f32(z, fw_splat_f32(FW_SIXTEENTHS));
    fw_f32v r = fw_past_sixteenth_f32(z);
    fw_f32v p = FW_P2(r, s * 0x1.000008p+0f, s * 0x1.62d2c8p-1f, s * 0x1.f7241ep-3f);
    fw_f32v power = fw_scale_f32((fw_f32v)fw_pick16_i32((fw_i32v)powers, j), z);
    return s + p * power;
}
FW_FN fw_f32v fw_silu_f32(fw_f32v x) { return x / fw_one_and_power_f32(1, x * -0x1.715476p+0f); }
FW_FN fw_f32v fw_silu_log2_f32(fw_f32v z) { return z / fw_one_and_power_f32(-0x1.715476p+0f, z); }
#else
FW_FN fw_f32v fw_silu_f32(fw_f32v x) { return x / (1 + fw_exp_f32(-x)); }
FW_FN fw_f32v fw_silu_log2_f32(fw_f32v z) { /* as exp, but what z is beyond n is exact */
    const float s = -0x1.715476p+0f;
    fw_f32v x = fw_max_f32(fw_min_f32(z, fw_splat_f32(128.5f)), fw_splat_f32(-126));
    fw_f32v t = x + (FW_SHIFTER + 126);
    fw_f32v r = x - (t - (FW_SHIFTER + 126));
    fw_f32v p = FW_P5(r, s * 2.0f, s * 0x1.62e42ap+0f, s * 0x1.ebf9c2p-2f, s * 0x1.c6b6d8p-4f, s * 0x1.3ce8aep-6f,
                      s * 0x1.5bda46p-9f);
    return z / (s + p * (fw_f32v)((fw_i32v)t << 23));
}
#endif

/* tanh and erf: x P(x^2)/Q(x^2). Arguments are held where the quotient has passed 1 by 5e-7, more than rounding can take
 * away, and results at 1: saturation is exact. */
FW_FN fw_f32v fw_clamp1_f32(fw_f32v x) { return fw_max_f32(fw_min_f32(x, fw_splat_f32(1)), fw_splat_f32(-1)); }

FW_FN fw_f32v fw_tanh_f32(fw_f32v x) {
    x = fw_max_f32(fw_min_f32(x, fw_splat_f32(9.55f)), fw_splat_f32(-9.55f));
    fw_f32v t = x * x;
    fw_f32v p = FW_P4(t, 1.0f, 0x1.1213d6p-3f, 0x1.ca6c5p-9f, 0x1.5a3ed8p-16f, 0x1.cc1482p-27f);
    fw_f32v q = FW_P4(t, 1.0f, 0x1.de5f38p-2f, 0x1.a8171p-6f, 0x1.58d68cp-12f, 0x1.a25436p-21f);
    return fw_clamp1_f32(x * p / q);
}

FW_FN fw_f32v fw_erf_f32(fw_f32v x) {
    x = fw_max_f32(fw_min_f32(x, fw_splat_f32(4.1f)), fw_splat_f32(-4.1f));
    fw_f32v t = x * x;
    fw_f32v p = FW_P5(t, 0x1.20dd74p+0f, 0x1.a1d602p-3f, 0x1.bdb4d2p-5f, 0x1.19e274p-8f, 0x1.2ef18ep-12f,
                      0x1.f05e96p-20f);
    fw_f32v q = FW_P5(t, 1.0f, 0x1.073d7ep-1f, 0x1.e9e7bep-4f, 0x1.0721e2p-6f, 0x1.4ea7ccp-10f, 0x1.2fa30ap-15f);
    return fw_clamp1_f32(x * p / q);
}

/* log: x = 2^e m, sqrt(1/2) <= m < sqrt(2); denormal x is scaled first. */
FW_FN fw_f32v fw_log_f32(fw_f32v x) {
    fw_i32v tiny = x < 0x1p-126f;
    fw_f32v normal = fw_sel_f32(tiny, x * 0x1p23f, x);
    fw_i32v bits = (fw_i32v)normal - 0x3f3504f3; /* sqrt(1/2) */
    fw_f32v e = fw_to_f32((bits >> 23) - (tiny & 23));
    fw_f32v f = (fw_f32v)((bits & 0x7fffff) + 0x3f3504f3) - 1;
    fw_f32v p = FW_P7(f, 0x1.555554p-2f, -0x1.000226p-2f, 0x1.99a01cp-3f, -0x1.54728ap-3f, 0x1.22d93p-3f,
                      -0x1.0d824ap-3f, 0x1.055eb6p-3f, -0x1.38c966p-4f);
    fw_f32v y = (f * p - 0.5f) * (f * f);
    y = e * -0x1.bd0106p-13f + y;
    y = e * 0x1.63p-1f + (f + y);
    y = fw_sel_f32(x == FW_INF, x, y);
    fw_f32v edge = fw_sel_f32(x == 0, fw_splat_f32(-FW_INF), fw_splat_f32(FW_NAN));
    return fw_sel_f32(x > 0, y, edge);
}

/* log(1 + x): the rounding of 1 + x is put right by its share of the result. */
FW_FN fw_f32v fw_log1p_f32(fw_f32v x) {
    fw_f32v u = 1 + x;
    fw_f32v c = (x - (u - 1)) / u;
    c = fw_sel_f32(c == c, c, fw_splat_f32(0)); /* u is 0 or infinite */
    fw_f32v y = fw_log_f32(u) + c;
    return fw_sel_f32(fw_abs_f32(x) < 0x1p-25f, x, y);
}

/* softplus: log(1 + e^x) = max(x, 0) + log1p(z), z = e^-|x| in (0, 1]. */
FW_FN fw_f32v fw_softplus_f32(fw_f32v x) {
    fw_f32v z = fw_exp_f32(-fw_abs_f32(x));
    fw_f32v p = FW_P8(z, 1.0f, -0x1.ffff14p-2f, 0x1.5535dep-2f, -0x1.fd1368p-3f, 0x1.884554p-3f,
                      -0x1.19af8ep-3f, 0x1.44707ap-4f, -0x1.eca398p-6f, 0x1.5fa0dap-8f);
    return fw_max_f32(x, fw_splat_f32(0)) + z * p;
}

/* expm1: the polynomial itself near 0, where e^x - 1 would cancel. */
FW_FN fw_f32v fw_expm1_f32(fw_f32v x) {
    fw_f32v p = FW_P6(x, 1.0f, 0x1.000002p-1f, 0x1.555558p-3f, 0x1.5551bep-5f, 0x1.110d08p-7f, 0x1.6f4a6ep-10f,
                      0x1.a53e36p-13f);
    return fw_sel_f32(fw_abs_f32(x) < 0.5f, x * p, fw_exp_f32(x) - 1);
}

/* Sine, cosine, tangent: x = q pi/2 + r in double precision, |r| <= pi/4, exact enough to |x| = 2^20. Beyond that the
 * C library takes over, lane by lane. */
#define FW_TRIG_LIMIT 0x1p20f
#define FW_SHIFTER64 0x1.8p52

FW_FN int fw_any_i32(fw_i32v m) { return fw_hmin_i32(m) < 0; }

FW_FN fw_f32v fw_quadrant(fw_f32v x, fw_i32v *q) {
    fw_f64v d = fw_to_f64(x);
    fw_f64v t = d * 0x1.45f306dc9c883p-1 + FW_SHIFTER64;
    fw_f64v n = t - FW_SHIFTER64;
    *q = fw_to_i32((fw_i64v)t);
    return fw_to_f32(d - n * 0x1.921fb544p+0 - n * 0x1.0b4611a626331p-34); /* 33 bits first: that product is exact */
}

FW_FN fw_f32v fw_sin_near(fw_f32v r) {
    fw_f32v t = r * r;
    return r * (1 + t * FW_P2(t, -0x1.555546p-3f, 0x1.110778p-7f, -0x1.995406p-13f));
}

FW_FN fw_f32v fw_cos_near(fw_f32v r) {
    fw_f32v t = r * r;
    return (1 - 0.5f * t) + t * t * FW_P2(t, 0x1.55554ap-5f, -0x1.6c0c2ap-10f, 0x1.99e914p-16f);
}

#define FW_DEFINE_TRIG(NAME, NEAR) \
    FW_FN fw_f32v fw_##NAME##_f32(fw_f32v x) { \
        fw_i32v q; \
        fw_f32v r = fw_quadrant(x, &q), s = fw_sin_near(r), c = fw_cos_near(r), y = NEAR; \
        if (__builtin_expect(fw_any_i32(fw_abs_f32(x) >= FW_TRIG_LIMIT), 0)) \
            for (int i = 0; i < FW_LANES; i++) \
                if (__builtin_fabsf(x[i]) >= FW_TRIG_LIMIT) y[i] = __builtin_##NAME##f(x[i]); \
        return y; \
    }
#define FW_ODD(q) (((q) & 1) != 0)
#define FW_TURN(y, q) ((fw_f32v)((fw_i32v)(y) ^ (((q) & 2) << 30)))
FW_DEFINE_TRIG(sin, FW_TURN(fw_sel_f32(FW_ODD(q), c, s), q))
FW_DEFINE_TRIG(cos, FW_TURN(fw_sel_f32(FW_ODD(q), s, c), q + 1))
FW_DEFINE_TRIG(tan, fw_sel_f32(FW_ODD(q), -c, s) / fw_sel_f32(FW_ODD(q), s, c))

/* Inverse circular functions. Above 1/2, asin and acos go through asin(sqrt((1 - |x|) / 2)); above 1, atan through
 * -1/x. Constants that complete the angle are split in two floats. */
#define FW_PI_2_HI 0x1.921fb6p+0f
#define FW_PI_2_LO -0x1.777a5cp-25f

FW_FN fw_f32v fw_asin_near(fw_f32v s, fw_f32v t) {
    return s + s * t * FW_P4(t, 0x1.5555c8p-3f, 0x1.330204p-4f, 0x1.747bb8p-5f, 0x1.8c3e5p-6f, 0x1.595c6p-5f);
}

FW_FN fw_f32v fw_asin_f32(fw_f32v x) {
    fw_f32v a = fw_abs_f32(x);
    fw_i32v far = a > 0.5f;
    fw_f32v t = fw_sel_f32(far, 0.5f - 0.5f * a, a * a);
    fw_f32v p = fw_asin_near(fw_sel_f32(far, fw_sqrt_f32(t), a), t);
    return fw_copysign_f32(fw_sel_f32(far, FW_PI_2_HI - (2 * p - FW_PI_2_LO), p), x);
}

FW_FN fw_f32v fw_acos_f32(fw_f32v x) {
    fw_f32v a = fw_abs_f32(x);
    fw_i32v far = a > 0.5f;
    fw_f32v t = fw_sel_f32(far, 0.5f - 0.5f * a, a * a);
    fw_f32v p = fw_asin_near(fw_sel_f32(far, fw_sqrt_f32(t), x), t);
    fw_f32v near = FW_PI_2_HI - (p - FW_PI_2_LO);
    fw_f32v below = 2 * (FW_PI_2_HI - (p - FW_PI_2_LO));
    return fw_sel_f32(far, fw_sel_f32(x > 0, 2 * p, below), near);
}

FW_FN fw_f32v fw_atan_f32(fw_f32v x) {
    fw_f32v a = fw_abs_f32(x);
    fw_i32v far = a > 1;
    fw_f32v s = fw_sel_f32(far, -1 / a, a), t = s * s;
    fw_f32v p = FW_P7(t, -0x1.5554dcp-2f, 0x1.9978ecp-3f, -0x1.230a96p-3f, 0x1.b4deep-4f, -0x1.35519ep-4f,
                      0x1.61f17ep-5f, -0x1.0c1c96p-6f, 0x1.7eb2c4p-9f);
    p = s + s * t * p;
    return fw_copysign_f32(fw_sel_f32(far, FW_PI_2_HI + (p + FW_PI_2_LO), p), x);
}

/* Hyperbolic functions. e^|x|/2 overflows later than e^|x|: above 88 the exponential is taken of |x| - 1. */
FW_FN fw_f32v fw_half_exp_f32(fw_f32v a) {
    fw_i32v big = a > 88.0f;
    fw_f32v scale = fw_sel_f32(big, fw_splat_f32(0x1.5bf0a8p+0f), fw_splat_f32(0.5f)); /* e/2, 1/2 */
    return scale * fw_exp_f32(fw_sel_f32(big, a - 1, a));
}

FW_FN fw_f32v fw_cosh_f32(fw_f32v x) {
    fw_f32v h = fw_half_exp_f32(fw_abs_f32(x));
    return h + 0.25f / h;
}

FW_FN fw_f32v fw_sinh_f32(fw_f32v x) {
    fw_f32v a = fw_abs_f32(x), t = x * x, h = fw_half_exp_f32(a);
    fw_f32v near = a + a * t * FW_P2(t, 0x1.555598p-3f, 0x1.10f766p-7f, 0x1.ab405cp-13f);
    return fw_copysign_f32(fw_sel_f32(a < 1, near, h - 0.25f / h), x);
}

#define FW_LN2 0x1.62e43p-1f
#define FW_SQUARE_LIMIT 0x1p60f /* beyond it x * x + 1 is x * x, and would overflow */

FW_FN fw_f32v fw_asinh_f32(fw_f32v x) {
    fw_f32v a = fw_abs_f32(x), t = a * a;
    fw_i32v big = a > FW_SQUARE_LIMIT;
    fw_f32v y = fw_log1p_f32(fw_sel_f32(big, a, a + t / (1 + fw_sqrt_f32(t + 1))));
    return fw_copysign_f32(fw_sel_f32(big, y + FW_LN2, y), x);
}

FW_FN fw_f32v fw_acosh_f32(fw_f32v x) {
    fw_f32v t = x - 1;
    fw_i32v big = x > FW_SQUARE_LIMIT;
    fw_f32v y = fw_log1p_f32(fw_sel_f32(big, x, t + fw_sqrt_f32(2 * t + t * t)));
    return fw_sel_f32(x < 1, fw_splat_f32(FW_NAN), fw_sel_f32(big, y + FW_LN2, y));
}

FW_FN fw_f32v fw_atanh_f32(fw_f32v x) {
    fw_f32v a = fw_abs_f32(x);
    return fw_copysign_f32(0.5f * fw_log1p_f32(2 * a / (1 - a)), x);
}

/* pow in double precision: 2^(y log2|x|), with log2(m) = 2/ln2 atanh((m - 1)/(m + 1)); signs and edges as C has them. */
FW_FN fw_f32v fw_pow_f32(fw_f32v x, fw_f32v y) {
    fw_f32v a = fw_abs_f32(x);
    fw_f64v d = fw_to_f64(a);
    fw_u64v bits = (fw_u64v)d - 0x3fe6a09e667f3bcdull + (1024ull << 52); /* sqrt(1/2); kept positive */
    fw_f64v e = (fw_f64v)((bits >> 52) | 0x4330000000000000ull) - (0x1p52 + 1024);
    fw_f64v m = (fw_f64v)((bits & 0xfffffffffffffull) + 0x3fe6a09e667f3bcdull);
    fw_f64v s = (m - 1) / (m + 1), t = s * s;
    fw_f64v log2 = FW_P6(t, 0x1.71547652b82fep+1, 0x1.ec709dc3a03fdp-1, 0x1.2776c50ef9bfep-1, 0x1.a61762a7aded9p-2,
                         0x1.484b13d7c02a9p-2, 0x1.0c9a84994022dp-2, 0x1.c68f568d3176p-3);
    log2 = log2 * s + e;
    log2 = fw_sel_f64(d == 0, fw_splat_f64(-FW_INF), fw_sel_f64(d < FW_INF, log2, d)); /* NaN stays */
    fw_f64v l = log2 * fw_to_f64(y);
    l = fw_max_f64(fw_min_f64(l, fw_splat_f64(1000)), fw_splat_f64(-1000));
    fw_f64v n = l + (FW_SHIFTER64 + 1023);
    fw_f64v f = l - (n - (FW_SHIFTER64 + 1023));
    fw_f64v p = FW_P8(f, 1.0, 0x1.62e42fefa39efp-1, 0x1.ebfbdff82c58fp-3, 0x1.c6b08d704a0cp-5, 0x1.3b2ab6fba4e77p-7,
                      0x1.5d87fe78a6731p-10, 0x1.430912f86c787p-13, 0x1.ffcbfc588b0c7p-17, 0x1.62c0223a5c824p-20);
    fw_f32v r = fw_to_f32(p * (fw_f64v)((fw_i64v)n << 52));
    fw_f32v half = 0.5f * y;
    fw_i32v whole = fw_trunc_f32(y) == y, odd = whole & (fw_trunc_f32(half) != half);
    r = (fw_f32v)((fw_i32v)r ^ ((fw_i32v)x & odd & INT32_MIN));
    r = fw_sel_f32((x < 0) & (a < FW_INF) & ~whole, fw_splat_f32(FW_NAN), r);
    fw_i32v one = (x == 1) | (y == 0) | ((x == -1) & (fw_abs_f32(y) == FW_INF));
    return fw_sel_f32(one, fw_splat_f32(1), r);
}

/* Double precision: the C library, lane by lane. */
#define FW_DEFINE_F64(NAME) \
    FW_FN fw_f64v fw_##NAME##_f64(fw_f64v x) { \
        for (int i = 0; i < FW_LANES; i++) x[i] = __builtin_##NAME(x[i]); \
        return x; \
    }
#define FW_LIBM(X) \
    X(exp) X(expm1) X(log) X(log1p) X(tanh) X(erf) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) \
    X(asinh) X(acosh) X(atanh)
FW_LIBM(FW_DEFINE_F64)

FW_FN fw_f64v fw_exp_low_f64(fw_f64v x) { return fw_exp_f64(x); }
FW_FN fw_f64v fw_sigmoid_f64(fw_f64v x) { return 1 / (1 + fw_exp_f64(-x)); }
FW_FN fw_f64v fw_softplus_f64(fw_f64v x) {
    return fw_max_f64(x, fw_splat_f64(0)) + fw_log1p_f64(fw_exp_f64(-fw_abs_f64(x)));
}
FW_FN fw_f64v fw_pow_f64(fw_f64v x, fw_f64v y) {
    for (int i = 0; i < FW_LANES; i++) x[i] = __builtin_pow(x[i], y[i]);
    return x;
}

#include "fw_scalar.h"

#endif
