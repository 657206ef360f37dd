void fw_pack_854a76f433da(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict b = p[0];
    float *restrict packed = p[1];
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    const int64_t arg2 = n[2];
    const int64_t arg3 = n[3];
    const int64_t arg4 = n[4];
    const int64_t arg5 = n[5];
    const int64_t arg6 = n[6];
    const int64_t arg7 = n[7];
    const int64_t arg8 = n[8];
    const int64_t arg9 = n[9];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        const int64_t group = (u % arg0);
        const int64_t rest = (u / arg1);
        const int64_t b_2 = (rest / arg2);
        const int64_t k0 = ((rest % arg3) * 256);
        const int64_t k1 = fws_min_i64((k0 + 256), arg4);
        const int64_t p0 = (group * 8);
        const int64_t p1 = fws_min_i64((p0 + 8), arg5);
        for (int64_t k = k0; k < k1; k++) {
            for (int64_t p_2 = p0; p_2 < p1; p_2++) {
                const int64_t place = (((((b_2 * arg5) + p_2) * arg4) + k) * 8);
                const int64_t n_2 = (p_2 * 8);
                const int64_t left = (arg6 - n_2);
                if (left >= 4) {
                    fw_store_f32(packed + place, fw_load_f32(b + (((b_2 % arg7) * arg8) + (k * arg9)) + n_2));
                } else {
                    if (left > 0) {
                        fw_store_f32(packed + place, fw_load_f32_n(b + (((b_2 % arg7) * arg8) + (k * arg9)) + n_2, left));
                    }
                }
                if (left <= 0) {
                    fw_store_f32(packed + place, fw_splat_f32(0.0f));
                }
                const int64_t n_3 = ((p_2 * 8) + 4);
                const int64_t left_2 = (arg6 - n_3);
                if (left_2 >= 4) {
                    fw_store_f32(packed + place + 4, fw_load_f32(b + (((b_2 % arg7) * arg8) + (k * arg9)) + n_3));
                } else {
                    if (left_2 > 0) {
                        fw_store_f32(packed + place + 4, fw_load_f32_n(b + (((b_2 % arg7) * arg8) + (k * arg9)) + n_3, left_2));
                    }
                }
                if (left_2 <= 0) {
                    fw_store_f32(packed + place + 4, fw_splat_f32(0.0f));
                }
            }
        }
    }
}

void fw_matmul_63580c060b50(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict a = p[0];
    const float *restrict b = p[1];
    float *restrict y2 = p[2];
    float *tile = (float *)(scratch + 0);
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    const int64_t arg2 = n[2];
    const int64_t arg3 = n[3];
    const int64_t arg4 = n[4];
    const int64_t arg5 = n[5];
    const int64_t arg6 = n[6];
    const int64_t arg7 = n[7];
    const int64_t arg8 = n[8];
    const int64_t arg9 = n[9];
    const int64_t arg10 = n[10];
    const int64_t arg11 = n[11];
    const int64_t arg12 = n[12];
    const int64_t arg13 = n[13];
    const int64_t arg14 = n[14];
    const int64_t arg15 = n[15];
    const int64_t arg16 = n[16];
    const int64_t arg17 = n[17];
    const int64_t arg18 = n[18];
    const int64_t arg19 = n[19];
    const int64_t arg20 = n[20];
    const int64_t arg21 = n[21];
    const int64_t arg22 = n[22];
    const int64_t arg23 = n[23];
    const int64_t arg24 = n[24];
    const int64_t arg25 = n[25];
    const int64_t arg26 = n[26];
    const int64_t arg27 = n[27];
    const int64_t arg28 = n[28];
    const int64_t arg29 = n[29];
    const int64_t arg30 = n[30];
    const int64_t arg31 = n[31];
    const int64_t arg32 = n[32];
    const int64_t arg33 = n[33];
    const int64_t arg34 = n[34];
    const int64_t arg35 = n[35];
    const int64_t arg36 = n[36];
    const int64_t arg37 = n[37];
    const int64_t arg38 = n[38];
    const int64_t arg39 = n[39];
    const int64_t arg40 = n[40];
    const int64_t arg41 = n[41];
    const int64_t arg42 = n[42];
    const int64_t arg43 = n[43];
    const int64_t arg44 = n[44];
    const int64_t arg45 = n[45];
    const int64_t arg46 = n[46];
    const int64_t arg47 = n[47];
    const int64_t arg48 = n[48];
    const int64_t arg49 = n[49];
    const int64_t arg50 = n[50];
    const int64_t arg51 = n[51];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        const int64_t share = (u % arg0);
        const int64_t rest = (u / arg0);
        const int64_t block = (rest % arg1);
        const int64_t rest_2 = (rest / arg1);
        const int64_t start = (block * arg2);
        const int64_t stop = fws_min_i64((start + arg2), arg3);
        const int64_t p0 = (share * arg4);
        const int64_t p1 = fws_min_i64((p0 + arg5), arg6);
        for (int64_t p_2 = p0; p_2 < p1; p_2++) {
            const int64_t n0 = (p_2 * 8);
            const int64_t b_2 = ((n0 * arg7) + (rest_2 * (arg8 * ((arg9 * arg7) * 8))));
            const int64_t x_whole = (stop - ((stop - start) % 6));
            for (int64_t x = start; x < x_whole; x += 6) {
                const int64_t a_2 = ((rest_2 * arg10) + (x * arg11));
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
                fw_f32v c50 = fw_splat_f32(0.0f);
                fw_f32v c51 = fw_splat_f32(0.0f);
                const int64_t r1 = arg11;
                const int64_t r2 = (2 * arg11);
                const int64_t r3 = (3 * arg11);
                const int64_t r4 = (4 * arg11);
                const int64_t r5 = (5 * arg11);
                for (int64_t k = 0; k < arg12; k++) {
                    const fw_f32v b0 = fw_load_f32(b + b_2 + (k * 8));
                    const fw_f32v b1 = fw_load_f32(b + (b_2 + (k * 8)) + 4);
                    const fw_f32v a0 = fw_load_ones_f32(a + a_2 + k);
                    c00 = (a0 * b0 + c00);
                    c01 = (a0 * b1 + c01);
                    const fw_f32v a1 = fw_load_ones_f32(a + (a_2 + r1) + k);
                    c10 = (a1 * b0 + c10);
                    c11 = (a1 * b1 + c11);
                    const fw_f32v a2 = fw_load_ones_f32(a + (a_2 + r2) + k);
                    c20 = (a2 * b0 + c20);
                    c21 = (a2 * b1 + c21);
                    const fw_f32v a3 = fw_load_ones_f32(a + (a_2 + r3) + k);
                    c30 = (a3 * b0 + c30);
                    c31 = (a3 * b1 + c31);
                    const fw_f32v a4 = fw_load_ones_f32(a + (a_2 + r4) + k);
                    c40 = (a4 * b0 + c40);
                    c41 = (a4 * b1 + c41);
                    const fw_f32v a5 = fw_load_ones_f32(a + (a_2 + r5) + k);
                    c50 = (a5 * b0 + c50);
                    c51 = (a5 * b1 + c51);
                }
                fw_store_f32(tile + 0, c00);
                fw_store_f32(tile + 4, c01);
                fw_store_f32(tile + 8, c10);
                fw_store_f32(tile + 12, c11);
                fw_store_f32(tile + 16, c20);
                fw_store_f32(tile + 20, c21);
                fw_store_f32(tile + 24, c30);
                fw_store_f32(tile + 28, c31);
                fw_store_f32(tile + 32, c40);
                fw_store_f32(tile + 36, c41);
                fw_store_f32(tile + 40, c50);
                fw_store_f32(tile + 44, c51);
                for (int64_t m = 0; m < 6; m++) {
                    for (int64_t v = 0; v < 8; v += 4) {
                        const fw_f32v c = fw_load_f32(tile + (m * 8) + v);
                        fw_store_f32(y2 + ((rest_2 * arg13) + ((x + m) * arg14)) + (n0 + v), c);
                    }
                }
            }
            const int64_t x_until = (stop - ((stop - x_whole) % 4));
            for (int64_t x_2 = x_whole; x_2 < x_until; x_2 += 4) {
                const int64_t a_3 = ((rest_2 * arg15) + (x_2 * arg16));
                fw_f32v c00_2 = fw_splat_f32(0.0f);
                fw_f32v c01_2 = fw_splat_f32(0.0f);
                fw_f32v c10_2 = fw_splat_f32(0.0f);
                fw_f32v c11_2 = fw_splat_f32(0.0f);
                fw_f32v c20_2 = fw_splat_f32(0.0f);
                fw_f32v c21_2 = fw_splat_f32(0.0f);
                fw_f32v c30_2 = fw_splat_f32(0.0f);
                fw_f32v c31_2 = fw_splat_f32(0.0f);
                const int64_t r1_2 = arg16;
                const int64_t r2_2 = (2 * arg16);
                const int64_t r3_2 = (3 * arg16);
                for (int64_t k_2 = 0; k_2 < arg17; k_2++) {
                    const fw_f32v b0_2 = fw_load_f32(b + b_2 + (k_2 * 8));
                    const fw_f32v b1_2 = fw_load_f32(b + (b_2 + (k_2 * 8)) + 4);
                    const fw_f32v a0_2 = fw_load_ones_f32(a + a_3 + k_2);
                    c00_2 = (a0_2 * b0_2 + c00_2);
                    c01_2 = (a0_2 * b1_2 + c01_2);
                    const fw_f32v a1_2 = fw_load_ones_f32(a + (a_3 + r1_2) + k_2);
                    c10_2 = (a1_2 * b0_2 + c10_2);
                    c11_2 = (a1_2 * b1_2 + c11_2);
                    const fw_f32v a2_2 = fw_load_ones_f32(a + (a_3 + r2_2) + k_2);
                    c20_2 = (a2_2 * b0_2 + c20_2);
                    c21_2 = (a2_2 * b1_2 + c21_2);
                    const fw_f32v a3_2 = fw_load_ones_f32(a + (a_3 + r3_2) + k_2);
                    c30_2 = (a3_2 * b0_2 + c30_2);
                    c31_2 = (a3_2 * b1_2 + c31_2);
                }
                fw_store_f32(tile + 0, c00_2);
                fw_store_f32(tile + 4, c01_2);
                fw_store_f32(tile + 8, c10_2);
                fw_store_f32(tile + 12, c11_2);
                fw_store_f32(tile + 16, c20_2);
                fw_store_f32(tile + 20, c21_2);
                fw_store_f32(tile + 24, c30_2);
                fw_store_f32(tile + 28, c31_2);
                for (int64_t m_2 = 0; m_2 < 4; m_2++) {
                    for (int64_t v_2 = 0; v_2 < 8; v_2 += 4) {
                        const fw_f32v c_2 = fw_load_f32(tile + (m_2 * 8) + v_2);
                        fw_store_f32(y2 + ((rest_2 * arg13) + ((x_2 + m_2) * arg14)) + (n0 + v_2), c_2);
                    }
                }
            }
            const int64_t x_until_2 = (stop - ((stop - x_until) % 2));
            for (int64_t x_3 = x_until; x_3 < x_until_2; x_3 += 2) {
                const int64_t a_4 = ((rest_2 * arg18) + (x_3 * arg19));
                fw_f32v c00_3 = fw_splat_f32(0.0f);
                fw_f32v c01_3 = fw_splat_f32(0.0f);
                fw_f32v c10_3 = fw_splat_f32(0.0f);
                fw_f32v c11_3 = fw_splat_f32(0.0f);
                const int64_t r1_3 = arg19;
                for (int64_t k_3 = 0; k_3 < arg20; k_3++) {
                    const fw_f32v b0_3 = fw_load_f32(b + b_2 + (k_3 * 8));
                    const fw_f32v b1_3 = fw_load_f32(b + (b_2 + (k_3 * 8)) + 4);
                    const fw_f32v a0_3 = fw_load_ones_f32(a + a_4 + k_3);
                    c00_3 = (a0_3 * b0_3 + c00_3);
                    c01_3 = (a0_3 * b1_3 + c01_3);
                    const fw_f32v a1_3 = fw_load_ones_f32(a + (a_4 + r1_3) + k_3);
                    c10_3 = (a1_3 * b0_3 + c10_3);
                    c11_3 = (a1_3 * b1_3 + c11_3);
                }
                fw_store_f32(tile + 0, c00_3);
                fw_store_f32(tile + 4, c01_3);
                fw_store_f32(tile + 8, c10_3);
                fw_store_f32(tile + 12, c11_3);
                for (int64_t m_3 = 0; m_3 < 2; m_3++) {
                    for (int64_t v_3 = 0; v_3 < 8; v_3 += 4) {
                        const fw_f32v c_3 = fw_load_f32(tile + (m_3 * 8) + v_3);
                        fw_store_f32(y2 + ((rest_2 * arg13) + ((x_3 + m_3) * arg14)) + (n0 + v_3), c_3);
                    }
                }
            }
            for (int64_t x_4 = x_until_2; x_4 < stop; x_4++) {
                const int64_t a_5 = ((rest_2 * arg21) + (x_4 * arg22));
                fw_f32v c00_4 = fw_splat_f32(0.0f);
                fw_f32v c01_4 = fw_splat_f32(0.0f);
                for (int64_t k_4 = 0; k_4 < arg23; k_4++) {
                    const fw_f32v b0_4 = fw_load_f32(b + b_2 + (k_4 * 8));
                    const fw_f32v b1_4 = fw_load_f32(b + (b_2 + (k_4 * 8)) + 4);
                    const fw_f32v a0_4 = fw_load_ones_f32(a + a_5 + k_4);
                    c00_4 = (a0_4 * b0_4 + c00_4);
                    c01_4 = (a0_4 * b1_4 + c01_4);
                }
                fw_store_f32(tile + 0, c00_4);
                fw_store_f32(tile + 4, c01_4);
                for (int64_t v_4 = 0; v_4 < 8; v_4 += 4) {
                    const fw_f32v c_4 = fw_load_f32(tile + v_4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + (x_4 * arg14)) + (n0 + v_4), c_4);
                }
            }
        }
        const int64_t tail = (arg6 * 8);
        const int64_t tail_2 = ((share == arg24) ? tail : arg25);
        const int64_t whole_vectors = (arg25 - ((arg25 - tail_2) % 4));
        for (int64_t n0_2 = tail_2; n0_2 < whole_vectors; n0_2 += 4) {
            const int64_t b_3 = (((tail_2 * arg7) + (rest_2 * (arg26 * ((arg9 * arg7) * 8)))) + (n0_2 - tail_2));
            const int64_t x_whole_2 = (stop - ((stop - start) % 6));
            for (int64_t x_5 = start; x_5 < x_whole_2; x_5 += 6) {
                const int64_t a_6 = ((rest_2 * arg27) + (x_5 * arg28));
                fw_f32v c00_5 = fw_splat_f32(0.0f);
                fw_f32v c10_4 = fw_splat_f32(0.0f);
                fw_f32v c20_3 = fw_splat_f32(0.0f);
                fw_f32v c30_3 = fw_splat_f32(0.0f);
                fw_f32v c40_2 = fw_splat_f32(0.0f);
                fw_f32v c50_2 = fw_splat_f32(0.0f);
                const int64_t r1_4 = arg28;
                const int64_t r2_3 = (2 * arg28);
                const int64_t r3_3 = (3 * arg28);
                const int64_t r4_2 = (4 * arg28);
                const int64_t r5_2 = (5 * arg28);
                for (int64_t k_5 = 0; k_5 < arg29; k_5++) {
                    const fw_f32v b0_5 = fw_load_f32(b + b_3 + (k_5 * 8));
                    const fw_f32v a0_5 = fw_splat_f32(a[a_6 + k_5]);
                    c00_5 = (a0_5 * b0_5 + c00_5);
                    const fw_f32v a1_4 = fw_splat_f32(a[(a_6 + r1_4) + k_5]);
                    c10_4 = (a1_4 * b0_5 + c10_4);
                    const fw_f32v a2_3 = fw_splat_f32(a[(a_6 + r2_3) + k_5]);
                    c20_3 = (a2_3 * b0_5 + c20_3);
                    const fw_f32v a3_3 = fw_splat_f32(a[(a_6 + r3_3) + k_5]);
                    c30_3 = (a3_3 * b0_5 + c30_3);
                    const fw_f32v a4_2 = fw_splat_f32(a[(a_6 + r4_2) + k_5]);
                    c40_2 = (a4_2 * b0_5 + c40_2);
                    const fw_f32v a5_2 = fw_splat_f32(a[(a_6 + r5_2) + k_5]);
                    c50_2 = (a5_2 * b0_5 + c50_2);
                }
                fw_store_f32(tile + 0, c00_5);
                fw_store_f32(tile + 4, c10_4);
                fw_store_f32(tile + 8, c20_3);
                fw_store_f32(tile + 12, c30_3);
                fw_store_f32(tile + 16, c40_2);
                fw_store_f32(tile + 20, c50_2);
                for (int64_t m_4 = 0; m_4 < 6; m_4++) {
                    const fw_f32v c_5 = fw_load_f32(tile + m_4 * 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_5 + m_4) * arg14)) + n0_2, c_5);
                }
            }
            const int64_t x_until_3 = (stop - ((stop - x_whole_2) % 4));
            for (int64_t x_6 = x_whole_2; x_6 < x_until_3; x_6 += 4) {
                const int64_t a_7 = ((rest_2 * arg30) + (x_6 * arg31));
                fw_f32v c00_6 = fw_splat_f32(0.0f);
                fw_f32v c10_5 = fw_splat_f32(0.0f);
                fw_f32v c20_4 = fw_splat_f32(0.0f);
                fw_f32v c30_4 = fw_splat_f32(0.0f);
                const int64_t r1_5 = arg31;
                const int64_t r2_4 = (2 * arg31);
                const int64_t r3_4 = (3 * arg31);
                for (int64_t k_6 = 0; k_6 < arg32; k_6++) {
                    const fw_f32v b0_6 = fw_load_f32(b + b_3 + (k_6 * 8));
                    const fw_f32v a0_6 = fw_splat_f32(a[a_7 + k_6]);
                    c00_6 = (a0_6 * b0_6 + c00_6);
                    const fw_f32v a1_5 = fw_splat_f32(a[(a_7 + r1_5) + k_6]);
                    c10_5 = (a1_5 * b0_6 + c10_5);
                    const fw_f32v a2_4 = fw_splat_f32(a[(a_7 + r2_4) + k_6]);
                    c20_4 = (a2_4 * b0_6 + c20_4);
                    const fw_f32v a3_4 = fw_splat_f32(a[(a_7 + r3_4) + k_6]);
                    c30_4 = (a3_4 * b0_6 + c30_4);
                }
                fw_store_f32(tile + 0, c00_6);
                fw_store_f32(tile + 4, c10_5);
                fw_store_f32(tile + 8, c20_4);
                fw_store_f32(tile + 12, c30_4);
                for (int64_t m_5 = 0; m_5 < 4; m_5++) {
                    const fw_f32v c_6 = fw_load_f32(tile + m_5 * 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_6 + m_5) * arg14)) + n0_2, c_6);
                }
            }
            const int64_t x_until_4 = (stop - ((stop - x_until_3) % 2));
            for (int64_t x_7 = x_until_3; x_7 < x_until_4; x_7 += 2) {
                const int64_t a_8 = ((rest_2 * arg33) + (x_7 * arg34));
                fw_f32v c00_7 = fw_splat_f32(0.0f);
                fw_f32v c10_6 = fw_splat_f32(0.0f);
                const int64_t r1_6 = arg34;
                for (int64_t k_7 = 0; k_7 < arg35; k_7++) {
                    const fw_f32v b0_7 = fw_load_f32(b + b_3 + (k_7 * 8));
                    const fw_f32v a0_7 = fw_splat_f32(a[a_8 + k_7]);
                    c00_7 = (a0_7 * b0_7 + c00_7);
                    const fw_f32v a1_6 = fw_splat_f32(a[(a_8 + r1_6) + k_7]);
                    c10_6 = (a1_6 * b0_7 + c10_6);
                }
                fw_store_f32(tile + 0, c00_7);
                fw_store_f32(tile + 4, c10_6);
                for (int64_t m_6 = 0; m_6 < 2; m_6++) {
                    const fw_f32v c_7 = fw_load_f32(tile + m_6 * 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_7 + m_6) * arg14)) + n0_2, c_7);
                }
            }
            for (int64_t x_8 = x_until_4; x_8 < stop; x_8++) {
                const int64_t a_9 = ((rest_2 * arg36) + (x_8 * arg37));
                fw_f32v c00_8 = fw_splat_f32(0.0f);
                for (int64_t k_8 = 0; k_8 < arg38; k_8++) {
                    const fw_f32v b0_8 = fw_load_f32(b + b_3 + (k_8 * 8));
                    const fw_f32v a0_8 = fw_splat_f32(a[a_9 + k_8]);
                    c00_8 = (a0_8 * b0_8 + c00_8);
                }
                fw_store_f32(tile + 0, c00_8);
                const fw_f32v c_8 = fw_load_f32(tile + 0);
                fw_store_f32(y2 + ((rest_2 * arg13) + (x_8 * arg14)) + n0_2, c_8);
            }
        }
        if (whole_vectors < arg25) {
            const int64_t partial = (arg25 - whole_vectors);
            const int64_t b_4 = (((tail_2 * arg7) + (rest_2 * (arg39 * ((arg9 * arg7) * 8)))) + (whole_vectors - tail_2));
            const int64_t x_whole_3 = (stop - ((stop - start) % 6));
            for (int64_t x_9 = start; x_9 < x_whole_3; x_9 += 6) {
                const int64_t a_10 = ((rest_2 * arg40) + (x_9 * arg41));
                fw_f32v c00_9 = fw_splat_f32(0.0f);
                fw_f32v c10_7 = fw_splat_f32(0.0f);
                fw_f32v c20_5 = fw_splat_f32(0.0f);
                fw_f32v c30_5 = fw_splat_f32(0.0f);
                fw_f32v c40_3 = fw_splat_f32(0.0f);
                fw_f32v c50_3 = fw_splat_f32(0.0f);
                const int64_t r1_7 = arg41;
                const int64_t r2_5 = (2 * arg41);
                const int64_t r3_5 = (3 * arg41);
                const int64_t r4_3 = (4 * arg41);
                const int64_t r5_3 = (5 * arg41);
                for (int64_t k_9 = 0; k_9 < arg42; k_9++) {
                    const fw_f32v b0_9 = fw_load_f32(b + b_4 + (k_9 * 8));
                    const fw_f32v a0_9 = fw_splat_f32(a[a_10 + k_9]);
                    c00_9 = (a0_9 * b0_9 + c00_9);
                    const fw_f32v a1_7 = fw_splat_f32(a[(a_10 + r1_7) + k_9]);
                    c10_7 = (a1_7 * b0_9 + c10_7);
                    const fw_f32v a2_5 = fw_splat_f32(a[(a_10 + r2_5) + k_9]);
                    c20_5 = (a2_5 * b0_9 + c20_5);
                    const fw_f32v a3_5 = fw_splat_f32(a[(a_10 + r3_5) + k_9]);
                    c30_5 = (a3_5 * b0_9 + c30_5);
                    const fw_f32v a4_3 = fw_splat_f32(a[(a_10 + r4_3) + k_9]);
                    c40_3 = (a4_3 * b0_9 + c40_3);
                    const fw_f32v a5_3 = fw_splat_f32(a[(a_10 + r5_3) + k_9]);
                    c50_3 = (a5_3 * b0_9 + c50_3);
                }
                fw_store_f32(tile + 0, c00_9);
                fw_store_f32(tile + 4, c10_7);
                fw_store_f32(tile + 8, c20_5);
                fw_store_f32(tile + 12, c30_5);
                fw_store_f32(tile + 16, c40_3);
                fw_store_f32(tile + 20, c50_3);
                for (int64_t m_7 = 0; m_7 < 6; m_7++) {
                    const fw_f32v c_9 = fw_load_f32(tile + m_7 * 4);
                    fw_store_f32_n(y2 + ((rest_2 * arg13) + ((x_9 + m_7) * arg14)) + whole_vectors, c_9, partial);
                }
            }
            const int64_t x_until_5 = (stop - ((stop - x_whole_3) % 4));
            for (int64_t x_10 = x_whole_3; x_10 < x_until_5; x_10 += 4) {
                const int64_t a_11 = ((rest_2 * arg43) + (x_10 * arg44));
                fw_f32v c00_10 = fw_splat_f32(0.0f);
                fw_f32v c10_8 = fw_splat_f32(0.0f);
                fw_f32v c20_6 = fw_splat_f32(0.0f);
                fw_f32v c30_6 = fw_splat_f32(0.0f);
                const int64_t r1_8 = arg44;
                const int64_t r2_6 = (2 * arg44);
                const int64_t r3_6 = (3 * arg44);
                for (int64_t k_10 = 0; k_10 < arg45; k_10++) {
                    const fw_f32v b0_10 = fw_load_f32(b + b_4 + (k_10 * 8));
                    const fw_f32v a0_10 = fw_splat_f32(a[a_11 + k_10]);
                    c00_10 = (a0_10 * b0_10 + c00_10);
                    const fw_f32v a1_8 = fw_splat_f32(a[(a_11 + r1_8) + k_10]);
                    c10_8 = (a1_8 * b0_10 + c10_8);
                    const fw_f32v a2_6 = fw_splat_f32(a[(a_11 + r2_6) + k_10]);
                    c20_6 = (a2_6 * b0_10 + c20_6);
                    const fw_f32v a3_6 = fw_splat_f32(a[(a_11 + r3_6) + k_10]);
                    c30_6 = (a3_6 * b0_10 + c30_6);
                }
                fw_store_f32(tile + 0, c00_10);
                fw_store_f32(tile + 4, c10_8);
                fw_store_f32(tile + 8, c20_6);
                fw_store_f32(tile + 12, c30_6);
                for (int64_t m_8 = 0; m_8 < 4; m_8++) {
                    const fw_f32v c_10 = fw_load_f32(tile + m_8 * 4);
                    fw_store_f32_n(y2 + ((rest_2 * arg13) + ((x_10 + m_8) * arg14)) + whole_vectors, c_10, partial);
                }
            }
            const int64_t x_until_6 = (stop - ((stop - x_until_5) % 2));
            for (int64_t x_11 = x_until_5; x_11 < x_until_6; x_11 += 2) {
                const int64_t a_12 = ((rest_2 * arg46) + (x_11 * arg47));
                fw_f32v c00_11 = fw_splat_f32(0.0f);
                fw_f32v c10_9 = fw_splat_f32(0.0f);
                const int64_t r1_9 = arg47;
                for (int64_t k_11 = 0; k_11 < arg48; k_11++) {
                    const fw_f32v b0_11 = fw_load_f32(b + b_4 + (k_11 * 8));
                    const fw_f32v a0_11 = fw_splat_f32(a[a_12 + k_11]);
                    c00_11 = (a0_11 * b0_11 + c00_11);
                    const fw_f32v a1_9 = fw_splat_f32(a[(a_12 + r1_9) + k_11]);
                    c10_9 = (a1_9 * b0_11 + c10_9);
                }
                fw_store_f32(tile + 0, c00_11);
                fw_store_f32(tile + 4, c10_9);
                for (int64_t m_9 = 0; m_9 < 2; m_9++) {
                    const fw_f32v c_11 = fw_load_f32(tile + m_9 * 4);
                    fw_store_f32_n(y2 + ((rest_2 * arg13) + ((x_11 + m_9) * arg14)) + whole_vectors, c_11, partial);
                }
            }
            for (int64_t x_12 = x_until_6; x_12 < stop; x_12++) {
                const int64_t a_13 = ((rest_2 * arg49) + (x_12 * arg50));
                fw_f32v c00_12 = fw_splat_f32(0.0f);
                for (int64_t k_12 = 0; k_12 < arg51; k_12++) {
                    const fw_f32v b0_12 = fw_load_f32(b + b_4 + (k_12 * 8));
                    const fw_f32v a0_12 = fw_splat_f32(a[a_13 + k_12]);
                    c00_12 = (a0_12 * b0_12 + c00_12);
                }
                fw_store_f32(tile + 0, c00_12);
                const fw_f32v c_12 = fw_load_f32(tile + 0);
                fw_store_f32_n(y2 + ((rest_2 * arg13) + (x_12 * arg14)) + whole_vectors, c_12, partial);
            }
        }
    }
}
