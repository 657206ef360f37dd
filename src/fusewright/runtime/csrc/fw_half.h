/* How do float16 and bfloat16 lie in memory? As 16 bits, uint16_t; computed with, they are float32 that fw_round_f16 or
 * fw_round_bf16 has rounded, to nearest and ties to even. A NaN stays one, its bits may change. */
#ifndef FW_HALF_H
#define FW_HALF_H

#include "fw_vec.h"

#if defined(__F16C__) || defined(__aarch64__)
#if defined(__clang__)
#define FW_ROUND_TWICE _Pragma("clang fp contract(off)") /* a float64 that became float32 is not to become float16 */
#else
#define FW_ROUND_TWICE
#endif
typedef _Float16 fw_halfv __attribute__((vector_size(FW_LANES * 2)));
FW_FN fw_f32v fw_value_f16(fw_u16v bits) { return __builtin_convertvector((fw_halfv)bits, fw_f32v); }
FW_FN fw_u16v fw_bits_f16(fw_f32v value) {
    FW_ROUND_TWICE
    return (fw_u16v)__builtin_convertvector(value, fw_halfv);
}
FW_FN float fws_value_f16(uint16_t bits) { return (float)((union { uint16_t from; _Float16 to; }){.from = bits}).to; }
FW_FN uint16_t fws_bits_f16(float value) {
    FW_ROUND_TWICE
    return ((union { _Float16 from; uint16_t to; }){.from = (_Float16)value}).to;
}
#else /* a compiler would call functions of its own library, which is not linked */
FW_FN fw_f32v fw_value_f16(fw_u16v bits) {
    fw_u32v wide = fw_to_u32(bits), size = (wide & 0x7fff) << 13;
    fw_f32v value = (fw_f32v)size * 0x1p112f; /* what the exponents' biases differ by; exact, subnormal or not */
    fw_i32v special = (fw_i32v)size >= 0x7c00 << 13;
    value = fw_sel_f32(special, (fw_f32v)(size | 0x7f800000), value);
    return (fw_f32v)((fw_u32v)value | (wide & 0x8000) << 16);
}
FW_FN fw_u16v fw_bits_f16(fw_f32v value) {
    fw_u32v sign = (fw_u32v)value & 0x80000000u, size = (fw_u32v)value ^ sign;
    fw_u32v normal = ((size + 0xfff + (size >> 13 & 1)) >> 13) - (112u << 10);
    fw_u32v small = (fw_u32v)((fw_f32v)size + 0.5f) - 0x3f000000; /* 0.5 has the last bit of subnormals */
    fw_i32v at = (fw_i32v)size;
    fw_u32v bits = fw_sel_u32(at < 0x38800000, small, normal);       /* below 2^-14 */
    bits = fw_sel_u32(at >= 0x47800000, fw_splat_u32(0x7c00), bits); /* from 2^16 on */
    bits = fw_sel_u32(at > 0x7f800000, fw_splat_u32(0x7e00), bits);  /* NaN */
    return fw_to_u16(bits | sign >> 16);
}
FW_FN float fws_value_f16(uint16_t bits) { return fw_value_f16(fw_splat_u16(bits))[0]; }
FW_FN uint16_t fws_bits_f16(float value) { return fw_bits_f16(fw_splat_f32(value))[0]; }
#endif

FW_FN fw_f32v fw_value_bf16(fw_u16v bits) { return (fw_f32v)(fw_to_u32(bits) << 16); }
FW_FN fw_u16v fw_bits_bf16(fw_f32v value) {
    fw_u32v wide = (fw_u32v)value, nearest = (wide + 0x7fff + (wide >> 16 & 1)) >> 16;
    return fw_to_u16(fw_sel_u32(value != value, fw_splat_u32(0x7fc0), nearest));
}
FW_FN float fws_value_bf16(uint16_t bits) { return ((union { uint32_t from; float to; }){.from = (uint32_t)bits << 16}).to; }
FW_FN uint16_t fws_bits_bf16(float value) {
    uint32_t wide = ((union { float from; uint32_t to; }){.from = value}).to;
    return value != value ? 0x7fc0 : (uint16_t)((wide + 0x7fff + (wide >> 16 & 1)) >> 16);
}

/* Memory of halves from and to vectors of their values, as for other types. */
#define FW_DEFINE_HALF(S) \
    FW_FN float fws_round_##S(float x) { return fws_value_##S(fws_bits_##S(x)); } \
    FW_FN fw_f32v fw_round_##S(fw_f32v v) { return fw_value_##S(fw_bits_##S(v)); } \
    FW_FN fw_f32v fw_load_##S(const void *p) { return fw_value_##S(fw_load_u16(p)); } \
    FW_FN fw_f32v fw_load_##S##_n(const void *p, int64_t n) { return fw_value_##S(fw_load_u16_n(p, n)); } \
    FW_FN fw_f32v fw_gather_##S(const uint16_t *p, fw_i64v i, int64_t n) { \
        return fw_value_##S(fw_gather_u16(p, i, n)); \
    } \
    FW_FN void fw_store_##S(void *p, fw_f32v v) { fw_store_u16(p, fw_bits_##S(v)); } \
    FW_FN void fw_store_##S##_n(void *p, fw_f32v v, int64_t n) { fw_store_u16_n(p, fw_bits_##S(v), n); } \
    FW_FN void fw_scatter_##S(uint16_t *p, fw_i64v i, fw_f32v v, int64_t n) { \
        fw_scatter_u16(p, i, fw_bits_##S(v), n); \
    }
FW_DEFINE_HALF(f16)
FW_DEFINE_HALF(bf16)

/* float64 rounded to float32, to odd where it is inexact: what decides the rounding to float16 behind it stays. */
FW_FN float fws_to_odd(double x) {
    float nearest = (float)x;
    uint32_t bits = ((union { float from; uint32_t to; }){.from = nearest}).to;
    if (x - x == 0 && (double)nearest != x && !(bits & 1)) { /* the odd neighbour towards x */
        int away = nearest - nearest == 0 && __builtin_fabs((double)nearest) < __builtin_fabs(x);
        bits += away ? 1u : bits ? -1u : 0u;
    }
    return ((union { uint32_t from; float to; }){.from = bits}).to;
}

#endif
