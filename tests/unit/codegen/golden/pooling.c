void fw_pool_973515e82839(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict a = p[0];
    float *restrict y1 = p[1];
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        const int64_t o2 = (u % 2);
        const int64_t rest = (u / 2);
        const int64_t first = (o2 * 2);
        const int64_t base = (first * 32);
        fw_f32v s0 = fw_splat_f32((-__builtin_inff()));
        fw_f32v s1 = fw_splat_f32((-__builtin_inff()));
        for (int64_t k = 0; k < 2; k++) {
            const int64_t at = (base + (k * 32));
            const int64_t tap = (k * 2);
            const fw_f32v v = fw_load_f32(a + at);
            s0 = fw_max_f32(s0, v);
            const fw_f32v v_2 = fw_load_f32(a + at + 8);
            s0 = fw_max_f32(s0, v_2);
            const fw_f32v v_3 = fw_load_f32(a + at + 16);
            s1 = fw_max_f32(s1, v_3);
            const fw_f32v v_4 = fw_load_f32(a + at + 24);
            s1 = fw_max_f32(s1, v_4);
        }
        fw_store_f32(y1 + o2 * arg0, s0);
        fw_store_f32(y1 + (o2 * arg0) + arg1, s1);
    }
}
