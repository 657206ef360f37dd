void fw_conv_1a8471d675a0(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
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
            }
        }
        for (int64_t y = 0; y < 3; y++) {
            const int64_t t0 = fws_max_i64((1 - (y * 2)), 0);
            const int64_t t1 = fws_min_i64(fws_max_i64((7 - (y * 2)), 0), 3);
            const int64_t a_2 = (y * 56);
            fw_f32v c00 = fw_splat_f32(0.0f);
            fw_f32v c01 = fw_splat_f32(0.0f);
            fw_f32v c10 = fw_splat_f32(0.0f);
            fw_f32v c11 = fw_splat_f32(0.0f);
            fw_f32v c20 = fw_splat_f32(0.0f);
            fw_f32v c21 = fw_splat_f32(0.0f);
            for (int64_t t = t0; t < t1; t++) {
                const int64_t a0 = (a_2 + (t * 28));
                const int64_t b0 = ((t * 12) * 8);
                for (int64_t k = 0; k < 12; k++) {
                    const fw_f32v b0_2 = fw_load_f32(w + b0 + (k * 8));
                    const fw_f32v b1 = fw_load_f32(w + (b0 + (k * 8)) + 4);
                    const fw_f32v a0_2 = fw_splat_f32(stage[a0 + k]);
                    c00 = (a0_2 * b0_2 + c00);
                    c01 = (a0_2 * b1 + c01);
                    const fw_f32v a1 = fw_splat_f32(stage[(a0 + 8) + k]);
                    c10 = (a1 * b0_2 + c10);
                    c11 = (a1 * b1 + c11);
                    const fw_f32v a2 = fw_splat_f32(stage[(a0 + 16) + k]);
                    c20 = (a2 * b0_2 + c20);
                    c21 = (a2 * b1 + c21);
                }
            }
            fw_store_f32(y2 + y * arg1, c00);
            fw_store_f32(y2 + 4 + (y * arg1), c01);
            fw_store_f32(y2 + (y * arg1) + arg2, c10);
            fw_store_f32(y2 + (4 + (y * arg1)) + arg2, c11);
            fw_store_f32(y2 + (y * arg1) + (2 * arg2), c20);
            fw_store_f32(y2 + (4 + (y * arg1)) + (2 * arg2), c21);
        }
    }
}
