void fw_matmul_6348bd361d07(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict a = p[0];
    const float *restrict b = p[1];
    const float *restrict x2 = p[2];
    float *restrict y3 = p[3];
    const int64_t arg0 = n[0];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        for (int64_t x = 0; x < 6; x += 3) {
            const int64_t a_2 = (x * 8);
            const fw_f32v start = fw_load_f32(x2 + 0);
            const fw_f32v start_2 = fw_load_f32(x2 + 4);
            const fw_f32v start_3 = fw_load_f32(x2 + 8);
            fw_f32v c00 = start;
            fw_f32v c01 = start_2;
            fw_f32v c02 = start_3;
            fw_f32v c10 = start;
            fw_f32v c11 = start_2;
            fw_f32v c12 = start_3;
            fw_f32v c20 = start;
            fw_f32v c21 = start_2;
            fw_f32v c22 = start_3;
            for (int64_t k = 0; k < 8; k++) {
                const fw_f32v b0 = fw_load_f32(b + k * 12);
                const fw_f32v b1 = fw_load_f32(b + (k * 12) + 4);
                const fw_f32v b2 = fw_load_f32(b + (k * 12) + 8);
                const fw_f32v a0 = fw_load_ones_f32(a + a_2 + k);
                c00 = (a0 * b0 + c00);
                c01 = (a0 * b1 + c01);
                c02 = (a0 * b2 + c02);
                const fw_f32v a1 = fw_load_ones_f32(a + (a_2 + 8) + k);
                c10 = (a1 * b0 + c10);
                c11 = (a1 * b1 + c11);
                c12 = (a1 * b2 + c12);
                const fw_f32v a2 = fw_load_ones_f32(a + (a_2 + 16) + k);
                c20 = (a2 * b0 + c20);
                c21 = (a2 * b1 + c21);
                c22 = (a2 * b2 + c22);
            }
            fw_store_f32(y3 + x * arg0, fw_max_f32(c00, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + (x * arg0) + 4, fw_max_f32(c01, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + (x * arg0) + 8, fw_max_f32(c02, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + (x + 1) * arg0, fw_max_f32(c10, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + ((x + 1) * arg0) + 4, fw_max_f32(c11, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + ((x + 1) * arg0) + 8, fw_max_f32(c12, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + (x + 2) * arg0, fw_max_f32(c20, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + ((x + 2) * arg0) + 4, fw_max_f32(c21, fw_splat_f32(0.0f)));
            fw_store_f32(y3 + ((x + 2) * arg0) + 8, fw_max_f32(c22, fw_splat_f32(0.0f)));
        }
    }
}
