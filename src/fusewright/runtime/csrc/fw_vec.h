/* What can a kernel do with one vector of FW_LANES elements, the same text on every instruction set?
 *
 * Types are named by element: fw_f32v is FW_LANES floats, fw_f64v is FW_LANES doubles (twice the bytes), and so on.
 * FW_LANES is 16 (AVX-512), 8 (AVX2) or 4 (SSE2, NEON, plain C); kernels are built with -DFW_LANES=...
 * Everything is GNU vector extensions (gcc >= 12, clang >= 17); intrinsics stand only where these have no spelling.
 *
 * A mask is what a comparison gives: all bits set in each lane where it holds. Masks of 32-bit elements are fw_i32v, of
 * 64-bit elements fw_i64v.
 * The suffix _n marks partial access: only the first n lanes (0 <= n <= FW_LANES) touch memory, others load as zero.
 *
 * Build with -ffp-contract=fast (or on), never with -ffast-math; with clang on AVX-512 add -mprefer-vector-width=512,
 * else it may split these vectors in halves; with gcc add -Wno-psabi (it notes an ABI that inlined functions never use).
 */
#ifndef FW_VEC_H
#define FW_VEC_H

#include <stdint.h>

/* Intrinsics are called by their builtin names, the same in gcc and clang: <immintrin.h> costs a fifth of a second in
 * every kernel's compilation, many times what this file costs. */

#ifndef FW_LANES
#if defined(__AVX512F__)
#define FW_LANES 16
#elif defined(__AVX2__)
#define FW_LANES 8
#else
#define FW_LANES 4
#endif
#endif
#if FW_LANES != 4 && FW_LANES != 8 && FW_LANES != 16
#error "FW_LANES must be 4, 8 or 16"
#endif

#define FW_FN static inline __attribute__((always_inline, unused))

/* In front of a loop, one turn of which needs all registers: turns are not to be mixed. */
#if defined(__clang__)
#define FW_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define FW_ROLLED _Pragma("GCC unroll 1")
#endif

/* Every element type once: X(suffix, C type). */
#define FW_ELEMENTS(X) \
    X(f32, float) X(f64, double) X(i8, int8_t) X(u8, uint8_t) X(i16, int16_t) X(u16, uint16_t) \
    X(i32, int32_t) X(u32, uint32_t) X(i64, int64_t) X(u64, uint64_t)

/* Types, splat, full and partial access -------------------------------------------------------------------------- */

#define FW_BITE(k) \
    if ((k) < FW_LANES && (n & (k))) { \
        __builtin_memcpy(to + at, from + at, (k) * sizeof *from); \
        at += (k); \
    }
#define FW_BITES FW_BITE(8) FW_BITE(4) FW_BITE(2) FW_BITE(1)

#define FW_DEFINE_MEMORY(S, T) \
    typedef T fw_##S##v __attribute__((vector_size(FW_LANES * sizeof(T)))); \
    typedef T fw_##S##vu __attribute__((vector_size(FW_LANES * sizeof(T)), aligned(1), may_alias)); \
    FW_FN fw_##S##v fw_load_##S(const void *p) { return *(const fw_##S##vu *)p; } \
    FW_FN void fw_store_##S(void *p, fw_##S##v v) { *(fw_##S##vu *)p = v; } \
    FW_FN fw_##S##v fw_load_part_##S(const void *p, int64_t n) { \
        fw_##S##v v = {0}; \
        T *to = (T *)&v; \
        const T *from = (const T *)p; \
        int at = 0; \
        if (n == FW_LANES) return fw_load_##S(p); \
        FW_BITES \
        return v; \
    } \
    FW_FN void fw_store_part_##S(void *p, fw_##S##v v, int64_t n) { \
        T *to = (T *)p; \
        const T *from = (const T *)&v; \
        int at = 0; \
        if (n == FW_LANES) { fw_store_##S(p, v); return; } \
        FW_BITES \
    }
#define FW_DEFINE_SPLAT(S, T) \
    FW_FN fw_##S##v fw_splat_##S(T x) { return x - (fw_##S##v){0}; } /* x - 0 keeps -0.0, x + 0 would not */
FW_ELEMENTS(FW_DEFINE_MEMORY)
FW_ELEMENTS(FW_DEFINE_SPLAT)

/* Partial access by masked instructions where the machine has them, else by halves (at most four copies). */
#define FW_PARTIAL_GENERIC(S) \
    FW_FN fw_##S##v fw_load_##S##_n(const void *p, int64_t n) { return fw_load_part_##S(p, n); } \
    FW_FN void fw_store_##S##_n(void *p, fw_##S##v v, int64_t n) { fw_store_part_##S(p, v, n); }

#define FW_PARTIAL_MASKED(S, LOAD, STORE, P, V, MASK) \
    FW_FN fw_##S##v fw_load_##S##_n(const void *p, int64_t n) { \
        return (fw_##S##v)LOAD((const P *)p, (V){0}, (MASK)((1u << n) - 1u)); \
    } \
    FW_FN void fw_store_##S##_n(void *p, fw_##S##v v, int64_t n) { STORE((P *)p, (V)v, (MASK)((1u << n) - 1u)); }

typedef char fw_charv __attribute__((vector_size(FW_LANES))); /* what the builtins take for bytes */
#if FW_LANES == 16 && defined(__AVX512F__) && __has_builtin(__builtin_ia32_loadups512_mask)
#define FW_MASKED_32(S) \
    FW_PARTIAL_MASKED(S, __builtin_ia32_loaddqusi512_mask, __builtin_ia32_storedqusi512_mask, int, fw_i32v, uint16_t)
FW_PARTIAL_MASKED(f32, __builtin_ia32_loadups512_mask, __builtin_ia32_storeups512_mask, float, fw_f32v, uint16_t)
FW_MASKED_32(i32)
FW_MASKED_32(u32)
#elif FW_LANES == 8 && defined(__AVX2__) && __has_builtin(__builtin_ia32_maskloadd256)
#define FW_MASKED_32(S) \
    FW_FN fw_##S##v fw_load_##S##_n(const void *p, int64_t n) { \
        fw_i32v m = (int32_t)n > (fw_i32v){0, 1, 2, 3, 4, 5, 6, 7}; \
        return (fw_##S##v)__builtin_ia32_maskloadd256((const fw_i32v *)p, m); \
    } \
    FW_FN void fw_store_##S##_n(void *p, fw_##S##v v, int64_t n) { \
        fw_i32v m = (int32_t)n > (fw_i32v){0, 1, 2, 3, 4, 5, 6, 7}; \
        __builtin_ia32_maskstored256((fw_i32v *)p, m, (fw_i32v)v); \
    }
FW_MASKED_32(f32)
FW_MASKED_32(i32)
FW_MASKED_32(u32)
#else
FW_PARTIAL_GENERIC(f32)
FW_PARTIAL_GENERIC(i32)
FW_PARTIAL_GENERIC(u32)
#endif

#if FW_LANES == 16 && defined(__AVX512BW__) && defined(__AVX512VL__) && __has_builtin(__builtin_ia32_loaddquqi128_mask)
#define FW_MASKED_8(S) \
    FW_PARTIAL_MASKED(S, __builtin_ia32_loaddquqi128_mask, __builtin_ia32_storedquqi128_mask, FW_AT8, fw_charv, \
                      uint16_t)
#define FW_MASKED_16(S) \
    FW_PARTIAL_MASKED(S, __builtin_ia32_loaddquhi256_mask, __builtin_ia32_storedquhi256_mask, FW_AT16, fw_i16v, \
                      uint16_t)
#if defined(__clang__)
#define FW_AT8 fw_charv
#define FW_AT16 fw_i16v
#else
#define FW_AT8 char
#define FW_AT16 short
#endif
FW_MASKED_8(i8)
FW_MASKED_8(u8)
FW_MASKED_16(i16)
FW_MASKED_16(u16)
#else
FW_PARTIAL_GENERIC(i8)
FW_PARTIAL_GENERIC(u8)
FW_PARTIAL_GENERIC(i16)
FW_PARTIAL_GENERIC(u16)
#endif
FW_PARTIAL_GENERIC(f64)
FW_PARTIAL_GENERIC(i64)
FW_PARTIAL_GENERIC(u64)

/* 0, 1, 2, ... */
#if FW_LANES == 16
#define FW_IOTA {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#elif FW_LANES == 8
#define FW_IOTA {0, 1, 2, 3, 4, 5, 6, 7}
#else
#define FW_IOTA {0, 1, 2, 3}
#endif
/* One or two numbers again and again. For AVX-512 compilers write vbroadcastss and vbroadcastsd, which take a place beside
 * multiply-adds on Zen 4; the same for integers is a load and nothing else. */
#if FW_LANES == 16
#define FW_TWOS 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1
#define FW_EVENS 0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14
#define FW_ODDS 1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15
#elif FW_LANES == 8
#define FW_TWOS 0, 1, 0, 1, 0, 1, 0, 1
#define FW_EVENS 0, 2, 4, 6, 0, 2, 4, 6
#define FW_ODDS 1, 3, 5, 7, 1, 3, 5, 7
#else
#define FW_TWOS 0, 1, 0, 1
#define FW_EVENS 0, 2, 0, 2
#define FW_ODDS 1, 3, 1, 3
#endif
typedef float fw_two __attribute__((vector_size(8), aligned(4), may_alias));
#if FW_LANES == 16 && defined(__AVX512F__)
FW_FN fw_f32v fw_load_ones_f32(const float *p) {
    fw_f32v ones;
    __asm__("vpbroadcastd %1, %0" : "=v"(ones) : "m"(*p));
    return ones;
}
FW_FN fw_f32v fw_load_twos_f32(const float *p) {
    fw_f32v twos;
    __asm__("vpbroadcastq %1, %0" : "=v"(twos) : "m"(*(const fw_two *)p));
    return twos;
}
#else
FW_FN fw_f32v fw_load_ones_f32(const float *p) { return fw_splat_f32(*p); }
FW_FN fw_f32v fw_load_twos_f32(const float *p) {
    fw_two two = *(const fw_two *)p;
    return __builtin_shufflevector(two, two, FW_TWOS);
}
#endif
/* Every other lane, from the first or from the second on, in the lower half and in the upper. */
FW_FN fw_f32v fw_evens_f32(fw_f32v a) { return __builtin_shufflevector(a, a, FW_EVENS); }
FW_FN fw_f32v fw_odds_f32(fw_f32v a) { return __builtin_shufflevector(a, a, FW_ODDS); }

FW_FN fw_f32v fw_iota_f32(void) { return (fw_f32v)FW_IOTA; }
FW_FN fw_i32v fw_iota_i32(void) { return (fw_i32v)FW_IOTA; }
FW_FN fw_i64v fw_iota_i64(void) { return (fw_i64v)FW_IOTA; }

/* Bits, select, convert ------------------------------------------------------------------------------------------ */

/* Bitwise select: compilers see through it and emit blends (or masked moves) where the mask is a comparison. */
#define FW_DEFINE_SELECT(S, MASK) \
    FW_FN fw_##S##v fw_sel_##S(MASK m, fw_##S##v a, fw_##S##v b) { \
        return (fw_##S##v)(((MASK)a & m) | ((MASK)b & ~m)); \
    }
FW_DEFINE_SELECT(i8, fw_i8v)
FW_DEFINE_SELECT(u8, fw_i8v)
FW_DEFINE_SELECT(i16, fw_i16v)
FW_DEFINE_SELECT(u16, fw_i16v)
FW_DEFINE_SELECT(i32, fw_i32v)
FW_DEFINE_SELECT(u32, fw_i32v)
FW_DEFINE_SELECT(f32, fw_i32v)
FW_DEFINE_SELECT(i64, fw_i64v)
FW_DEFINE_SELECT(u64, fw_i64v)
FW_DEFINE_SELECT(f64, fw_i64v)

/* fw_to_B(v) of any vector type: C's conversion of each lane. Floating to integer truncates; what does not fit gives an
 * unspecified value, never a trap. Masks convert like integers: all ones stays all ones. */
#define fw_to_f32(v) __builtin_convertvector(v, fw_f32v)
#define fw_to_f64(v) __builtin_convertvector(v, fw_f64v)
#define fw_to_i8(v) __builtin_convertvector(v, fw_i8v)
#define fw_to_u8(v) __builtin_convertvector(v, fw_u8v)
#define fw_to_i16(v) __builtin_convertvector(v, fw_i16v)
#define fw_to_u16(v) __builtin_convertvector(v, fw_u16v)
#define fw_to_i32(v) __builtin_convertvector(v, fw_i32v)
#define fw_to_u32(v) __builtin_convertvector(v, fw_u32v)
#define fw_to_i64(v) __builtin_convertvector(v, fw_i64v)
#define fw_to_u64(v) __builtin_convertvector(v, fw_u64v)

/* A stored bool is a byte, 0 or 1; fw_bool_from reads any non-zero byte as true. */
FW_FN fw_u8v fw_bool_from_mask(fw_i32v m) { return fw_to_u8(m & 1); }
FW_FN fw_u8v fw_bool_from_mask64(fw_i64v m) { return fw_to_u8(m & 1); }
FW_FN fw_i32v fw_mask_from_bool(fw_u8v b) { return fw_to_i32(b) != 0; }
FW_FN fw_i64v fw_mask64_from_bool(fw_u8v b) { return fw_to_i64(b) != 0; }

/* Arithmetic ----------------------------------------------------------------------------------------------------- */

#define FW_SIGN_f32 INT32_MIN
#define FW_SIGN_f64 INT64_MIN

/* Maximum and minimum of floats: NaN if either is NaN. Written so that a constant as the second operand costs one
 * instruction on x86 (the first compare keeps `a` when unordered, the second folds away); else three. */
#if defined(__aarch64__) && defined(__has_builtin)
#if __has_builtin(__builtin_elementwise_maximum)
#define FW_HAS_MAXIMUM 1
#endif
#endif
#if defined(FW_HAS_MAXIMUM)
#define FW_MAX(S, I, a, b) __builtin_elementwise_maximum(a, b)
#define FW_MIN(S, I, a, b) __builtin_elementwise_minimum(a, b)
#else
#define FW_PICK(S, I, m, a, b) ((S)(((I)(a) & (I)(m)) | ((I)(b) & ~(I)(m))))
#define FW_MAX(S, I, a, b) FW_PICK(S, I, (b) != (b), b, FW_PICK(S, I, (b) > (a), b, a))
#define FW_MIN(S, I, a, b) FW_PICK(S, I, (b) != (b), b, FW_PICK(S, I, (b) < (a), b, a))
#endif

#define FW_DEFINE_FLOAT(S, M) \
    FW_FN fw_##S##v fw_max_##S(fw_##S##v a, fw_##S##v b) { return FW_MAX(fw_##S##v, M, a, b); } \
    FW_FN fw_##S##v fw_min_##S(fw_##S##v a, fw_##S##v b) { return FW_MIN(fw_##S##v, M, a, b); } \
    FW_FN fw_##S##v fw_fma_##S(fw_##S##v a, fw_##S##v b, fw_##S##v c) { return a * b + c; } \
    FW_FN fw_##S##v fw_abs_##S(fw_##S##v a) { return (fw_##S##v)((M)a & ~FW_SIGN_##S); } \
    FW_FN fw_##S##v fw_neg_##S(fw_##S##v a) { return -a; } \
    FW_FN fw_##S##v fw_copysign_##S(fw_##S##v a, fw_##S##v s) { \
        return (fw_##S##v)(((M)a & ~FW_SIGN_##S) | ((M)s & FW_SIGN_##S)); \
    } \
    FW_FN M fw_isnan_##S(fw_##S##v a) { return a != a; } \
    FW_FN M fw_isinf_##S(fw_##S##v a) { return fw_abs_##S(a) == __builtin_inff(); } \
    /* -1, 0 or 1 with the operand's type; NaN stays NaN, as NumPy has it */ \
    FW_FN fw_##S##v fw_sign_##S(fw_##S##v a) { \
        fw_##S##v one = fw_copysign_##S(fw_splat_##S(1), a); \
        return fw_sel_##S((a != 0) & (a == a), one, a); \
    }
FW_DEFINE_FLOAT(f32, fw_i32v)
FW_DEFINE_FLOAT(f64, fw_i64v)

#define FW_DEFINE_INT(S, M) \
    FW_FN fw_##S##v fw_max_##S(fw_##S##v a, fw_##S##v b) { return fw_sel_##S((M)(a > b), a, b); } \
    FW_FN fw_##S##v fw_min_##S(fw_##S##v a, fw_##S##v b) { return fw_sel_##S((M)(a < b), a, b); }
FW_DEFINE_INT(i8, fw_i8v)
FW_DEFINE_INT(u8, fw_i8v)
FW_DEFINE_INT(i16, fw_i16v)
FW_DEFINE_INT(u16, fw_i16v)
FW_DEFINE_INT(i32, fw_i32v)
FW_DEFINE_INT(u32, fw_i32v)
FW_DEFINE_INT(i64, fw_i64v)
FW_DEFINE_INT(u64, fw_i64v)
#define FW_DEFINE_SIGNED(S, U) \
    FW_FN fw_##S##v fw_abs_##S(fw_##S##v a) { return fw_sel_##S(a < 0, (fw_##S##v)(0 - (fw_##U##v)a), a); } \
    FW_FN fw_##S##v fw_sign_##S(fw_##S##v a) { return (a < 0) - (a > 0); }
#define FW_DEFINE_UNSIGNED(S) \
    FW_FN fw_##S##v fw_abs_##S(fw_##S##v a) { return a; } \
    FW_FN fw_##S##v fw_sign_##S(fw_##S##v a) { return fw_min_##S(a, fw_splat_##S(1)); }
FW_DEFINE_SIGNED(i8, u8)
FW_DEFINE_SIGNED(i16, u16)
FW_DEFINE_SIGNED(i32, u32)
FW_DEFINE_SIGNED(i64, u64)
FW_DEFINE_UNSIGNED(u8)
FW_DEFINE_UNSIGNED(u16)
FW_DEFINE_UNSIGNED(u32)
FW_DEFINE_UNSIGNED(u64)

/* What only AVX-512 has: lane i becomes lane at[i] % 16 of `table`; a + b rounded towards minus infinity; how far `a` is
 * past the sixteenth below it, 0 for infinities; a * 2^floor(b). */
#if FW_LANES == 16 && defined(__AVX512DQ__)
#if defined(__clang__)
FW_FN fw_i32v fw_pick16_i32(fw_i32v table, fw_i32v at) { return __builtin_ia32_permvarsi512(table, at); }
FW_FN fw_f32v fw_add_down_f32(fw_f32v a, fw_f32v b) { return __builtin_ia32_addps512(a, b, 9); }
FW_FN fw_f32v fw_past_sixteenth_f32(fw_f32v a) { return __builtin_ia32_reduceps512_mask(a, 0x41, a, -1, 4); }
#else
FW_FN fw_i32v fw_pick16_i32(fw_i32v table, fw_i32v at) { return __builtin_shuffle(table, at); }
FW_FN fw_f32v fw_add_down_f32(fw_f32v a, fw_f32v b) { return __builtin_ia32_addps512_mask(a, b, a, -1, 9); }
FW_FN fw_f32v fw_past_sixteenth_f32(fw_f32v a) { return __builtin_ia32_reduceps512_mask(a, 0x41, a, -1); }
#endif
FW_FN fw_f32v fw_scale_f32(fw_f32v a, fw_f32v b) { return __builtin_ia32_scalefps512_mask(a, b, a, -1, 4); }
#endif

/* Rounding and square root: one instruction where there is one. Clang's generic builtins become library calls lane by
 * lane on SSE2, so that target (and gcc off x86) rounds by adding and taking away 2^23 (2^52), exact below it; larger
 * values are integers already. */
#if defined(__clang__) && (defined(__SSE4_1__) || !defined(__SSE2__))
#define FW_DEFINE_ROUND(S) \
    FW_FN fw_##S##v fw_floor_##S(fw_##S##v a) { return __builtin_elementwise_floor(a); } \
    FW_FN fw_##S##v fw_ceil_##S(fw_##S##v a) { return __builtin_elementwise_ceil(a); } \
    FW_FN fw_##S##v fw_trunc_##S(fw_##S##v a) { return __builtin_elementwise_trunc(a); } \
    FW_FN fw_##S##v fw_round_##S(fw_##S##v a) { return __builtin_elementwise_roundeven(a); }
FW_DEFINE_ROUND(f32)
FW_DEFINE_ROUND(f64)
#else
#define FW_INTEGERS_f32 0x1p23f
#define FW_INTEGERS_f64 0x1p52
#define FW_DEFINE_ROUND(S) \
    FW_FN fw_##S##v fw_round_##S(fw_##S##v a) { \
        fw_##S##v magic = fw_splat_##S(FW_INTEGERS_##S), size = fw_abs_##S(a); \
        fw_##S##v r = (size + magic) - magic; \
        return fw_sel_##S(size < magic, fw_copysign_##S(r, a), a); \
    } \
    FW_FN fw_##S##v fw_floor_##S(fw_##S##v a) { \
        fw_##S##v r = fw_round_##S(a); \
        return fw_copysign_##S(fw_sel_##S(r > a, r - 1, r), a); \
    } \
    FW_FN fw_##S##v fw_ceil_##S(fw_##S##v a) { \
        fw_##S##v r = fw_round_##S(a); \
        return fw_copysign_##S(fw_sel_##S(r < a, r + 1, r), a); \
    } \
    FW_FN fw_##S##v fw_trunc_##S(fw_##S##v a) { \
        fw_##S##v size = fw_abs_##S(a), r = fw_round_##S(size); \
        return fw_copysign_##S(fw_sel_##S(r > size, r - 1, r), a); \
    }
FW_DEFINE_ROUND(f64)
#if defined(__AVX512F__) && FW_LANES == 16
#define FW_ROUND_X86(NAME, MODE) \
    FW_FN fw_f32v fw_##NAME##_f32(fw_f32v a) { return __builtin_ia32_rndscaleps_mask(a, MODE, a, -1, 4); }
#elif defined(__AVX__) && FW_LANES == 8
#define FW_ROUND_X86(NAME, MODE) \
    FW_FN fw_f32v fw_##NAME##_f32(fw_f32v a) { return __builtin_ia32_roundps256(a, MODE); }
#endif
#if defined(FW_ROUND_X86)
FW_ROUND_X86(round, 8)
FW_ROUND_X86(floor, 9)
FW_ROUND_X86(ceil, 10)
FW_ROUND_X86(trunc, 11)
#else
FW_DEFINE_ROUND(f32)
#endif
#endif

#if defined(__clang__)
FW_FN fw_f32v fw_sqrt_f32(fw_f32v a) { return __builtin_elementwise_sqrt(a); }
FW_FN fw_f64v fw_sqrt_f64(fw_f64v a) { return __builtin_elementwise_sqrt(a); }
#else
FW_FN fw_f64v fw_sqrt_f64(fw_f64v a) {
    for (int i = 0; i < FW_LANES; i++) a[i] = __builtin_sqrt(a[i]);
    return a;
}
#if defined(__AVX512F__) && FW_LANES == 16
FW_FN fw_f32v fw_sqrt_f32(fw_f32v a) { return __builtin_ia32_sqrtps512_mask(a, a, -1, 4); }
#elif defined(__AVX__) && FW_LANES == 8
FW_FN fw_f32v fw_sqrt_f32(fw_f32v a) { return __builtin_ia32_sqrtps256(a); }
#elif defined(__SSE2__) && FW_LANES == 4
FW_FN fw_f32v fw_sqrt_f32(fw_f32v a) { return __builtin_ia32_sqrtps(a); }
#else
FW_FN fw_f32v fw_sqrt_f32(fw_f32v a) {
    for (int i = 0; i < FW_LANES; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
#endif
#endif
FW_FN fw_f32v fw_rsqrt_f32(fw_f32v a) { return 1 / fw_sqrt_f32(a); }
FW_FN fw_f64v fw_rsqrt_f64(fw_f64v a) { return 1 / fw_sqrt_f64(a); }
FW_FN fw_f32v fw_recip_f32(fw_f32v a) { return 1 / a; }
FW_FN fw_f64v fw_recip_f64(fw_f64v a) { return 1 / a; }

/* Across the lanes ------------------------------------------------------------------------------------------------ */

/* A tree over halves: the order of additions is fixed by FW_LANES alone. */
#define FW_DEFINE_ACROSS(NAME, S, T, I, OP) \
    FW_FN T fw_##NAME##_##S(fw_##S##v v) { \
        typedef T v4 __attribute__((vector_size(4 * sizeof(T)))); \
        typedef I m4 __attribute__((unused, vector_size(4 * sizeof(T)))); \
        typedef T v8 __attribute__((vector_size((FW_LANES > 4 ? 8 : 4) * sizeof(T)))); \
        typedef I m8 __attribute__((unused, vector_size((FW_LANES > 4 ? 8 : 4) * sizeof(T)))); \
        FW_ACROSS_8(OP) \
        FW_ACROSS_4(OP) \
        v4 x2 = __builtin_shufflevector(x, x, 2, 3, 0, 1); \
        x = OP(v4, m4, x, x2); \
        v4 x1 = __builtin_shufflevector(x, x, 1, 0, 3, 2); \
        x = OP(v4, m4, x, x1); \
        return x[0]; \
    }
#if FW_LANES == 16
#define FW_ACROSS_8(OP) \
    v8 w0 = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); \
    v8 w1 = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15); \
    v8 w = OP(v8, m8, w0, w1);
#else
#define FW_ACROSS_8(OP) v8 w = v;
#endif
#if FW_LANES >= 8
#define FW_ACROSS_4(OP) \
    v4 h0 = __builtin_shufflevector(w, w, 0, 1, 2, 3), h1 = __builtin_shufflevector(w, w, 4, 5, 6, 7); \
    v4 x = OP(v4, m4, h0, h1);
#else
#define FW_ACROSS_4(OP) v4 x = w;
#endif
#define FW_ADD(V, M, a, b) ((a) + (b))
#define FW_MUL(V, M, a, b) ((a) * (b))
#define FW_IMAX(V, M, a, b) ((V)(((a) & (V)((a) > (b))) | ((b) & ~(V)((a) > (b)))))
#define FW_IMIN(V, M, a, b) ((V)(((a) & (V)((a) < (b))) | ((b) & ~(V)((a) < (b)))))

#define FW_DEFINE_ACROSS_ALL(S, T, I, MAX, MIN) \
    FW_DEFINE_ACROSS(hsum, S, T, I, FW_ADD) \
    FW_DEFINE_ACROSS(hprod, S, T, I, FW_MUL) \
    FW_DEFINE_ACROSS(hmax, S, T, I, MAX) \
    FW_DEFINE_ACROSS(hmin, S, T, I, MIN)
FW_DEFINE_ACROSS_ALL(f32, float, int32_t, FW_MAX, FW_MIN)
FW_DEFINE_ACROSS_ALL(f64, double, int64_t, FW_MAX, FW_MIN)
FW_DEFINE_ACROSS_ALL(i32, int32_t, int32_t, FW_IMAX, FW_IMIN)
FW_DEFINE_ACROSS_ALL(i64, int64_t, int64_t, FW_IMAX, FW_IMIN)

/* Sums of the lanes of four vectors at once: neighbours of two vectors are added up (or the odd ones subtracted), then
 * neighbours of what two such steps gave, then quarters. */
typedef float fw_four __attribute__((vector_size(4 * sizeof(float))));
#define FW_QUARTER(I, A, B) 4 * I + A, 4 * I + B, FW_LANES + 4 * I + A, FW_LANES + 4 * I + B
#if FW_LANES == 16
#define FW_QUARTERS(A, B) FW_QUARTER(0, A, B), FW_QUARTER(1, A, B), FW_QUARTER(2, A, B), FW_QUARTER(3, A, B)
#elif FW_LANES == 8
#define FW_QUARTERS(A, B) FW_QUARTER(0, A, B), FW_QUARTER(1, A, B)
#else
#define FW_QUARTERS(A, B) FW_QUARTER(0, A, B)
#endif
#define FW_EVEN_ONES(a, b) __builtin_shufflevector(a, b, FW_QUARTERS(0, 2))
#define FW_ODD_ONES(a, b) __builtin_shufflevector(a, b, FW_QUARTERS(1, 3))
FW_FN fw_f32v fw_add_neighbours_f32(fw_f32v a, fw_f32v b) { return FW_EVEN_ONES(a, b) + FW_ODD_ONES(a, b); }
FW_FN fw_f32v fw_subtract_neighbours_f32(fw_f32v a, fw_f32v b) { return FW_EVEN_ONES(a, b) - FW_ODD_ONES(a, b); }
FW_FN fw_four fw_hsums_f32(fw_f32v ab, fw_f32v cd) { /* of two vectors that the two above made */
    typedef float v8 __attribute__((vector_size((FW_LANES > 4 ? 8 : 4) * sizeof(float))));
    typedef fw_four v4;
    fw_f32v v = fw_add_neighbours_f32(ab, cd);
    FW_ACROSS_8(FW_ADD)
    FW_ACROSS_4(FW_ADD)
    return x;
}

/* x, computed where this stands: a C compiler that puts off additions, because it would have to keep their sum, may keep
 * several numbers instead of one, and run out of registers. */
#if FW_LANES == 16 && defined(__AVX512F__)
#define FW_REGISTER "+v"
#elif (FW_LANES == 8 && defined(__AVX__)) || (FW_LANES == 4 && defined(__SSE2__))
#define FW_REGISTER "+x"
#elif FW_LANES == 4 && defined(__aarch64__)
#define FW_REGISTER "+w"
#endif
FW_FN fw_f32v fw_now_f32(fw_f32v x) {
#ifdef FW_REGISTER
    __asm__ volatile("" : FW_REGISTER(x));
#endif
    return x;
}

#endif
