void fw_pointwise_363afa3b4a78(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const uint16_t *restrict x0 = p[0];
    uint16_t *restrict y1 = p[1];
    const int64_t arg0 = n[0];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    const int64_t start = (lo * 2048);
    const int64_t stop = fws_min_i64((hi * 2048), arg0);
    const int64_t length = (stop - start);
    const int64_t whole = (length - (length % 8));
    for (int64_t v = 0; v < whole; v += 8) {
        const fw_f32v t = fw_load_f16(x0 + start + v);
        fw_store_f16(y1 + start + v, fw_round_f16((t + t)));
    }
    if (whole < length) {
        const int64_t rest = (length - whole);
        const fw_f32v t_2 = fw_load_f16_n(x0 + start + whole, rest);
        fw_store_f16_n(y1 + start + whole, fw_round_f16((t_2 + t_2)), rest);
    }
}
