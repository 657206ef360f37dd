void fw_conv_6e5d1f53cd8d(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict a = p[0];
    const float *restrict w = p[1];
    float *restrict y2 = p[2];
    float *stage = (float *)(scratch + 0);
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    const int64_t arg2 = n[2];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        for (int64_t row = 0; row < 7; row++) {
            const int64_t at = (row * 28);
            const int64_t in_y = (row - 1);
            if ((in_y >= 0) & (in_y < 6)) {
                fw_store_f32(stage + at, fw_splat_f32(0.0f));
                for (int64_t v = 0; v < 24; v += 4) {
                    fw_store_f32(stage + (at + 4) + v, fw_load_f32(a + v + (in_y * arg0)));
                }
            } else {
                for (int64_t v_2 = 0; v_2 < 28; v_2 += 4) {
                    fw_store_f32(stage + at + v_2, fw_splat_f32(0.0f));
                }
            }
        }
        fw_f32v c00 = fw_splat_f32(0.0f);
        fw_f32v c01 = fw_splat_f32(0.0f);
        fw_f32v c10 = fw_splat_f32(0.0f);
        fw_f32v c11 = fw_splat_f32(0.0f);
        fw_f32v c20 = fw_splat_f32(0.0f);
        fw_f32v c21 = fw_splat_f32(0.0f);
        fw_f32v c30 = fw_splat_f32(0.0f);
        fw_f32v c31 = fw_splat_f32(0.0f);
        fw_f32v c40 = fw_splat_f32(0.0f);
        fw_f32v c41 = fw_splat_f32(0.0f);
        for (int64_t t = 0; t < 3; t++) {
            const int64_t a0 = (t * 28);
            const int64_t b0 = ((t * 12) * 8);
            for (int64_t k = 0; k < 12; k++) {
                const fw_f32v b0_2 = fw_load_f32(w + b0 + (k * 8));
                const fw_f32v b1 = fw_load_f32(w + (b0 + (k * 8)) + 4);
                const fw_f32v a0_2 = fw_load_ones_f32(stage + a0 + k);
                c00 = (a0_2 * b0_2 + c00);
                c01 = (a0_2 * b1 + c01);
                const fw_f32v a1 = fw_load_ones_f32(stage + (a0 + 8) + k);
                c10 = (a1 * b0_2 + c10);
                c11 = (a1 * b1 + c11);
                const fw_f32v a2 = fw_load_ones_f32(stage + (a0 + 16) + k);
                c20 = (a2 * b0_2 + c20);
                c21 = (a2 * b1 + c21);
                const fw_f32v a3 = fw_load_ones_f32(stage + (a0 + 56) + k);
                c30 = (a3 * b0_2 + c30);
                c31 = (a3 * b1 + c31);
                const fw_f32v a4 = fw_load_ones_f32(stage + (a0 + 64) + k);
                c40 = (a4 * b0_2 + c40);
                c41 = (a4 * b1 + c41);
            }
        }
        fw_store_f32(y2 + 0, c00);
        fw_store_f32(y2 + 4, c01);
        fw_store_f32(y2 + arg1, c10);
        fw_store_f32(y2 + 4 + arg1, c11);
        fw_store_f32(y2 + 2 * arg1, c20);
        fw_store_f32(y2 + 4 + (2 * arg1), c21);
        fw_store_f32(y2 + arg2, c30);
        fw_store_f32(y2 + 4 + arg2, c31);
        fw_store_f32(y2 + arg2 + arg1, c40);
        fw_store_f32(y2 + (4 + arg2) + arg1, c41);
        fw_f32v c00_2 = fw_splat_f32(0.0f);
        fw_f32v c01_2 = fw_splat_f32(0.0f);
        fw_f32v c10_2 = fw_splat_f32(0.0f);
        fw_f32v c11_2 = fw_splat_f32(0.0f);
        fw_f32v c20_2 = fw_splat_f32(0.0f);
        fw_f32v c21_2 = fw_splat_f32(0.0f);
        fw_f32v c30_2 = fw_splat_f32(0.0f);
        fw_f32v c31_2 = fw_splat_f32(0.0f);
        for (int64_t t_2 = 0; t_2 < 3; t_2++) {
            const int64_t a0_3 = (t_2 * 28);
            const int64_t b0_3 = ((t_2 * 12) * 8);
            for (int64_t k_2 = 0; k_2 < 12; k_2++) {
                const fw_f32v b0_4 = fw_load_f32(w + b0_3 + (k_2 * 8));
                const fw_f32v b1_2 = fw_load_f32(w + (b0_3 + (k_2 * 8)) + 4);
                const fw_f32v a0_4 = fw_load_ones_f32(stage + (a0_3 + 72) + k_2);
                c00_2 = (a0_4 * b0_4 + c00_2);
                c01_2 = (a0_4 * b1_2 + c01_2);
                const fw_f32v a1_2 = fw_load_ones_f32(stage + (a0_3 + 112) + k_2);
                c10_2 = (a1_2 * b0_4 + c10_2);
                c11_2 = (a1_2 * b1_2 + c11_2);
                const fw_f32v a2_2 = fw_load_ones_f32(stage + (a0_3 + 120) + k_2);
                c20_2 = (a2_2 * b0_4 + c20_2);
                c21_2 = (a2_2 * b1_2 + c21_2);
                const fw_f32v a3_2 = fw_load_ones_f32(stage + (a0_3 + 128) + k_2);
                c30_2 = (a3_2 * b0_4 + c30_2);
                c31_2 = (a3_2 * b1_2 + c31_2);
            }
        }
        fw_store_f32(y2 + arg2 + (2 * arg1), c00_2);
        fw_store_f32(y2 + (4 + arg2) + (2 * arg1), c01_2);
        fw_store_f32(y2 + 2 * arg2, c10_2);
        fw_store_f32(y2 + 4 + (2 * arg2), c11_2);
        fw_store_f32(y2 + (2 * arg2) + arg1, c20_2);
        fw_store_f32(y2 + (4 + (2 * arg2)) + arg1, c21_2);
        fw_store_f32(y2 + (2 * arg2) + (2 * arg1), c30_2);
        fw_store_f32(y2 + (4 + (2 * arg2)) + (2 * arg1), c31_2);
    }
}
