void fw_pointwise_43410df87ec7(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict x0 = p[0];
    const float *restrict x1 = p[1];
    float *restrict y2 = p[2];
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    const int64_t arg2 = n[2];
    const int64_t arg3 = n[3];
    const int64_t arg4 = n[4];
    const int64_t arg5 = n[5];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        const int64_t i1 = (u % arg0);
        const int64_t rest = (u / arg0);
        const int64_t whole = (arg1 - (arg1 % 16));
        for (int64_t v = 0; v < whole; v += 16) {
            const fw_f32v t = fw_load_f32(x0 + ((rest * arg2) + (i1 * arg3)) + v);
            fw_store_f32(y2 + ((rest * arg4) + (i1 * arg5)) + v, fw_sigmoid_f32(((t * x1[i1]) + t)));
        }
        if (whole < arg1) {
            const int64_t rest_2 = (arg1 - whole);
            const fw_f32v t_2 = fw_load_f32_n(x0 + ((rest * arg2) + (i1 * arg3)) + whole, rest_2);
            fw_store_f32_n(y2 + ((rest * arg4) + (i1 * arg5)) + whole, fw_sigmoid_f32(((t_2 * x1[i1]) + t_2)), rest_2);
        }
    }
}
