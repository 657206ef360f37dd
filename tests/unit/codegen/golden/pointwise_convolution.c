void fw_conv_620ceefae30a(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict a = p[0];
    const float *restrict w = p[1];
    const float *restrict x2 = p[2];
    float *restrict y3 = p[3];
    const int64_t arg0 = n[0];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        for (int64_t x = 0; x < 15; x += 5) {
            const int64_t a_2 = (x * 4);
            const fw_f32v start = fw_load_f32(x2 + 0);
            const fw_f32v start_2 = fw_load_f32(x2 + 4);
            fw_f32v c00 = start;
            fw_f32v c01 = start_2;
            fw_f32v c10 = start;
            fw_f32v c11 = start_2;
            fw_f32v c20 = start;
            fw_f32v c21 = start_2;
            fw_f32v c30 = start;
            fw_f32v c31 = start_2;
            fw_f32v c40 = start;
            fw_f32v c41 = start_2;
            for (int64_t k = 0; k < 4; k++) {
                const fw_f32v b0 = fw_load_f32(w + k * 8);
                const fw_f32v b1 = fw_load_f32(w + (k * 8) + 4);
                const fw_f32v a0 = fw_load_ones_f32(a + a_2 + k);
                c00 = (a0 * b0 + c00);
                c01 = (a0 * b1 + c01);
                const fw_f32v a1 = fw_load_ones_f32(a + (a_2 + 4) + k);
                c10 = (a1 * b0 + c10);
                c11 = (a1 * b1 + c11);
                const fw_f32v a2 = fw_load_ones_f32(a + (a_2 + 8) + k);
                c20 = (a2 * b0 + c20);
                c21 = (a2 * b1 + c21);
                const fw_f32v a3 = fw_load_ones_f32(a + (a_2 + 12) + k);
                c30 = (a3 * b0 + c30);
                c31 = (a3 * b1 + c31);
                const fw_f32v a4 = fw_load_ones_f32(a + (a_2 + 16) + k);
                c40 = (a4 * b0 + c40);
                c41 = (a4 * b1 + c41);
            }
            fw_store_f32(y3 + x * arg0, c00);
            fw_store_f32(y3 + 4 + (x * arg0), c01);
            fw_store_f32(y3 + (x + 1) * arg0, c10);
            fw_store_f32(y3 + 4 + ((x + 1) * arg0), c11);
            fw_store_f32(y3 + (x + 2) * arg0, c20);
            fw_store_f32(y3 + 4 + ((x + 2) * arg0), c21);
            fw_store_f32(y3 + (x + 3) * arg0, c30);
            fw_store_f32(y3 + 4 + ((x + 3) * arg0), c31);
            fw_store_f32(y3 + (x + 4) * arg0, c40);
            fw_store_f32(y3 + 4 + ((x + 4) * arg0), c41);
        }
    }
}
