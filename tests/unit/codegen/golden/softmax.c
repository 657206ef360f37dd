void fw_rows_24440c97262c(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict x0 = p[0];
    float *restrict y1 = p[1];
    float *kept = (float *)(scratch + 0);
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    const int64_t arg2 = n[2];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        fw_f32v acc = fw_splat_f32((-__builtin_inff()));
        fw_f32v acc_2 = fw_splat_f32((-__builtin_inff()));
        fw_f32v acc_3 = fw_splat_f32((-__builtin_inff()));
        fw_f32v acc_4 = fw_splat_f32((-__builtin_inff()));
        const int64_t unrolled = (arg0 - (arg0 % 32));
        for (int64_t r = 0; r < unrolled; r += 32) {
            acc = fw_max_f32(acc, fw_load_f32(x0 + (u * arg1) + r));
            acc_2 = fw_max_f32(acc_2, fw_load_f32(x0 + (u * arg1) + (r + 8)));
            acc_3 = fw_max_f32(acc_3, fw_load_f32(x0 + (u * arg1) + (r + 16)));
            acc_4 = fw_max_f32(acc_4, fw_load_f32(x0 + (u * arg1) + (r + 24)));
        }
        const int64_t whole = (arg0 - (arg0 % 8));
        for (int64_t r_2 = unrolled; r_2 < whole; r_2 += 8) {
            acc = fw_max_f32(acc, fw_load_f32(x0 + (u * arg1) + r_2));
        }
        if (whole < arg0) {
            const int64_t tail = (arg0 - whole);
            const fw_f32v t = fw_sel_f32(fw_to_i32((fw_iota_i64() < fw_splat_i64(tail))), fw_load_f32_n(x0 + (u * arg1) + whole, tail), fw_splat_f32((-__builtin_inff())));
            acc = fw_max_f32(acc, t);
        }
        const float max = fw_hmax_f32(fw_max_f32(fw_max_f32(acc, acc_2), fw_max_f32(acc_3, acc_4)));
        fw_f32v acc_5 = fw_splat_f32(0.0f);
        const int64_t whole_2 = (arg0 - (arg0 % 8));
        for (int64_t r_3 = 0; r_3 < whole_2; r_3 += 8) {
            const fw_f32v e = fw_exp_low_f32((fw_load_f32(x0 + (u * arg1) + r_3) - max));
            fw_store_f32(kept + r_3, e);
            acc_5 = (acc_5 + e);
        }
        if (whole_2 < arg0) {
            const int64_t tail_2 = (arg0 - whole_2);
            const fw_f32v e_2 = fw_exp_low_f32((fw_load_f32_n(x0 + (u * arg1) + whole_2, tail_2) - max));
            fw_store_f32_n(kept + whole_2, e_2, tail_2);
            const fw_f32v t_2 = acc_5 + fw_sel_f32(fw_to_i32((fw_iota_i64() < fw_splat_i64(tail_2))), e_2, fw_splat_f32(0.0f));
            acc_5 = t_2;
        }
        const float sum = fw_hsum_f32(acc_5);
        const float row = (1.0f / sum);
        const int64_t whole_3 = (arg0 - (arg0 % 8));
        for (int64_t r_4 = 0; r_4 < whole_3; r_4 += 8) {
            const fw_f32v e_3 = (fw_load_f32(kept + r_4) * row);
            fw_store_f32(y1 + (u * arg2) + r_4, e_3);
        }
        if (whole_3 < arg0) {
            const int64_t tail_3 = (arg0 - whole_3);
            const fw_f32v e_4 = (fw_load_f32_n(kept + whole_3, tail_3) * row);
            fw_store_f32_n(y1 + (u * arg2) + whole_3, e_4, tail_3);
        }
    }
}
