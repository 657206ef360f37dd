void fw_pack_c93f688ca008(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const float *restrict b = p[0];
    float *restrict packed = p[1];
    const int64_t arg0 = n[0];
    const int64_t arg1 = n[1];
    const int64_t arg2 = n[2];
    const int64_t arg3 = n[3];
    const int64_t arg4 = n[4];
    const int64_t arg5 = n[5];
    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;
    for (int64_t u = lo; u < hi; u++) {
        const int64_t b_2 = (u / arg0);
        const int64_t n0 = ((u % arg0) * 12);
        const int64_t place = ((u * arg1) * 12);
        for (int64_t k = 0; k < arg1; k++) {
            const int64_t left = (arg2 - n0);
            if (left >= 4) {
                fw_store_f32(packed + place + (k * 12), fw_load_f32(b + (((b_2 % arg3) * arg4) + (k * arg5)) + n0));
            } else {
                if (left > 0) {
                    fw_store_f32(packed + place + (k * 12), fw_load_f32_n(b + (((b_2 % arg3) * arg4) + (k * arg5)) + n0, left));
                }
            }
            if (left <= 0) {
                fw_store_f32(packed + place + (k * 12), fw_splat_f32(0.0f));
            }
            const int64_t left_2 = (arg2 - (n0 + 4));
            if (left_2 >= 4) {
                fw_store_f32(packed + (place + (k * 12)) + 4, fw_load_f32(b + (((b_2 % arg3) * arg4) + (k * arg5)) + (n0 + 4)));
            } else {
                if (left_2 > 0) {
                    fw_store_f32(packed + (place + (k * 12)) + 4, fw_load_f32_n(b + (((b_2 % arg3) * arg4) + (k * arg5)) + (n0 + 4), left_2));
                }
            }
            if (left_2 <= 0) {
                fw_store_f32(packed + (place + (k * 12)) + 4, fw_splat_f32(0.0f));
            }
            const int64_t left_3 = (arg2 - (n0 + 8));
            if (left_3 >= 4) {
                fw_store_f32(packed + (place + (k * 12)) + 8, fw_load_f32(b + (((b_2 % arg3) * arg4) + (k * arg5)) + (n0 + 8)));
            } else {
                if (left_3 > 0) {
                    fw_store_f32(packed + (place + (k * 12)) + 8, fw_load_f32_n(b + (((b_2 % arg3) * arg4) + (k * arg5)) + (n0 + 8), left_3));
                }
            }
            if (left_3 <= 0) {
                fw_store_f32(packed + (place + (k * 12)) + 8, fw_splat_f32(0.0f));
            }
        }
    }
}

void fw_matmul_7d2af69773cf(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
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
            const int64_t n0 = (p_2 * 12);
            const int64_t b_2 = ((n0 * arg7) + ((rest_2 * arg8) * ((arg9 * arg7) * 12)));
            const int64_t x_whole = (stop - ((stop - start) % 3));
            for (int64_t x = start; x < x_whole; x += 3) {
                const int64_t a_2 = ((rest_2 * arg10) + (x * arg11));
                fw_f32v c00 = fw_splat_f32(0.0f);
                fw_f32v c01 = fw_splat_f32(0.0f);
                fw_f32v c02 = fw_splat_f32(0.0f);
                fw_f32v c10 = fw_splat_f32(0.0f);
                fw_f32v c11 = fw_splat_f32(0.0f);
                fw_f32v c12 = fw_splat_f32(0.0f);
                fw_f32v c20 = fw_splat_f32(0.0f);
                fw_f32v c21 = fw_splat_f32(0.0f);
                fw_f32v c22 = fw_splat_f32(0.0f);
                const int64_t r1 = arg11;
                const int64_t r2 = (2 * arg11);
                for (int64_t k = 0; k < arg12; k++) {
                    const fw_f32v b0 = fw_load_f32(b + b_2 + (k * 12));
                    const fw_f32v b1 = fw_load_f32(b + (b_2 + (k * 12)) + 4);
                    const fw_f32v b2 = fw_load_f32(b + (b_2 + (k * 12)) + 8);
                    const fw_f32v a0 = fw_splat_f32(a[a_2 + k]);
                    c00 = (a0 * b0 + c00);
                    c01 = (a0 * b1 + c01);
                    c02 = (a0 * b2 + c02);
                    const fw_f32v a1 = fw_splat_f32(a[(a_2 + r1) + k]);
                    c10 = (a1 * b0 + c10);
                    c11 = (a1 * b1 + c11);
                    c12 = (a1 * b2 + c12);
                    const fw_f32v a2 = fw_splat_f32(a[(a_2 + r2) + k]);
                    c20 = (a2 * b0 + c20);
                    c21 = (a2 * b1 + c21);
                    c22 = (a2 * b2 + c22);
                }
                fw_store_f32(tile + 0, c00);
                fw_store_f32(tile + 4, c01);
                fw_store_f32(tile + 8, c02);
                fw_store_f32(tile + 12, c10);
                fw_store_f32(tile + 16, c11);
                fw_store_f32(tile + 20, c12);
                fw_store_f32(tile + 24, c20);
                fw_store_f32(tile + 28, c21);
                fw_store_f32(tile + 32, c22);
                for (int64_t m = 0; m < 3; m++) {
                    const fw_f32v c0 = fw_load_f32(tile + m * 12);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x + m) * arg14)) + n0, c0);
                    const fw_f32v c1 = fw_load_f32(tile + (m * 12) + 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x + m) * arg14)) + (n0 + 4), c1);
                    const fw_f32v c2 = fw_load_f32(tile + (m * 12) + 8);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x + m) * arg14)) + (n0 + 8), c2);
                }
            }
            const int64_t x_until = (stop - ((stop - x_whole) % 2));
            for (int64_t x_2 = x_whole; x_2 < x_until; x_2 += 2) {
                const int64_t a_3 = ((rest_2 * arg15) + (x_2 * arg16));
                fw_f32v c00_2 = fw_splat_f32(0.0f);
                fw_f32v c01_2 = fw_splat_f32(0.0f);
                fw_f32v c02_2 = fw_splat_f32(0.0f);
                fw_f32v c10_2 = fw_splat_f32(0.0f);
                fw_f32v c11_2 = fw_splat_f32(0.0f);
                fw_f32v c12_2 = fw_splat_f32(0.0f);
                const int64_t r1_2 = arg16;
                for (int64_t k_2 = 0; k_2 < arg17; k_2++) {
                    const fw_f32v b0_2 = fw_load_f32(b + b_2 + (k_2 * 12));
                    const fw_f32v b1_2 = fw_load_f32(b + (b_2 + (k_2 * 12)) + 4);
                    const fw_f32v b2_2 = fw_load_f32(b + (b_2 + (k_2 * 12)) + 8);
                    const fw_f32v a0_2 = fw_splat_f32(a[a_3 + k_2]);
                    c00_2 = (a0_2 * b0_2 + c00_2);
                    c01_2 = (a0_2 * b1_2 + c01_2);
                    c02_2 = (a0_2 * b2_2 + c02_2);
                    const fw_f32v a1_2 = fw_splat_f32(a[(a_3 + r1_2) + k_2]);
                    c10_2 = (a1_2 * b0_2 + c10_2);
                    c11_2 = (a1_2 * b1_2 + c11_2);
                    c12_2 = (a1_2 * b2_2 + c12_2);
                }
                fw_store_f32(tile + 0, c00_2);
                fw_store_f32(tile + 4, c01_2);
                fw_store_f32(tile + 8, c02_2);
                fw_store_f32(tile + 12, c10_2);
                fw_store_f32(tile + 16, c11_2);
                fw_store_f32(tile + 20, c12_2);
                for (int64_t m_2 = 0; m_2 < 2; m_2++) {
                    const fw_f32v c0_2 = fw_load_f32(tile + m_2 * 12);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_2 + m_2) * arg14)) + n0, c0_2);
                    const fw_f32v c1_2 = fw_load_f32(tile + (m_2 * 12) + 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_2 + m_2) * arg14)) + (n0 + 4), c1_2);
                    const fw_f32v c2_2 = fw_load_f32(tile + (m_2 * 12) + 8);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_2 + m_2) * arg14)) + (n0 + 8), c2_2);
                }
            }
            for (int64_t x_3 = x_until; x_3 < stop; x_3++) {
                const int64_t a_4 = ((rest_2 * arg18) + (x_3 * arg19));
                fw_f32v c00_3 = fw_splat_f32(0.0f);
                fw_f32v c01_3 = fw_splat_f32(0.0f);
                fw_f32v c02_3 = fw_splat_f32(0.0f);
                for (int64_t k_3 = 0; k_3 < arg20; k_3++) {
                    const fw_f32v b0_3 = fw_load_f32(b + b_2 + (k_3 * 12));
                    const fw_f32v b1_3 = fw_load_f32(b + (b_2 + (k_3 * 12)) + 4);
                    const fw_f32v b2_3 = fw_load_f32(b + (b_2 + (k_3 * 12)) + 8);
                    const fw_f32v a0_3 = fw_splat_f32(a[a_4 + k_3]);
                    c00_3 = (a0_3 * b0_3 + c00_3);
                    c01_3 = (a0_3 * b1_3 + c01_3);
                    c02_3 = (a0_3 * b2_3 + c02_3);
                }
                fw_store_f32(tile + 0, c00_3);
                fw_store_f32(tile + 4, c01_3);
                fw_store_f32(tile + 8, c02_3);
                const fw_f32v c0_3 = fw_load_f32(tile + 0);
                fw_store_f32(y2 + ((rest_2 * arg13) + (x_3 * arg14)) + n0, c0_3);
                const fw_f32v c1_3 = fw_load_f32(tile + 4);
                fw_store_f32(y2 + ((rest_2 * arg13) + (x_3 * arg14)) + (n0 + 4), c1_3);
                const fw_f32v c2_3 = fw_load_f32(tile + 8);
                fw_store_f32(y2 + ((rest_2 * arg13) + (x_3 * arg14)) + (n0 + 8), c2_3);
            }
        }
        const int64_t tail = (arg6 * 12);
        const int64_t tail_2 = ((share == arg21) ? tail : arg22);
        const int64_t whole_vectors = (arg22 - ((arg22 - tail_2) % 4));
        for (int64_t n0_2 = tail_2; n0_2 < whole_vectors; n0_2 += 4) {
            const int64_t b_3 = (((tail_2 * arg7) + ((rest_2 * arg23) * ((arg9 * arg7) * 12))) + (n0_2 - tail_2));
            const int64_t x_whole_2 = (stop - ((stop - start) % 3));
            for (int64_t x_4 = start; x_4 < x_whole_2; x_4 += 3) {
                const int64_t a_5 = ((rest_2 * arg24) + (x_4 * arg25));
                fw_f32v c00_4 = fw_splat_f32(0.0f);
                fw_f32v c10_3 = fw_splat_f32(0.0f);
                fw_f32v c20_2 = fw_splat_f32(0.0f);
                const int64_t r1_3 = arg25;
                const int64_t r2_2 = (2 * arg25);
                for (int64_t k_4 = 0; k_4 < arg26; k_4++) {
                    const fw_f32v b0_4 = fw_load_f32(b + b_3 + (k_4 * 12));
                    const fw_f32v a0_4 = fw_splat_f32(a[a_5 + k_4]);
                    c00_4 = (a0_4 * b0_4 + c00_4);
                    const fw_f32v a1_3 = fw_splat_f32(a[(a_5 + r1_3) + k_4]);
                    c10_3 = (a1_3 * b0_4 + c10_3);
                    const fw_f32v a2_2 = fw_splat_f32(a[(a_5 + r2_2) + k_4]);
                    c20_2 = (a2_2 * b0_4 + c20_2);
                }
                fw_store_f32(tile + 0, c00_4);
                fw_store_f32(tile + 4, c10_3);
                fw_store_f32(tile + 8, c20_2);
                for (int64_t m_3 = 0; m_3 < 3; m_3++) {
                    const fw_f32v c0_4 = fw_load_f32(tile + m_3 * 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_4 + m_3) * arg14)) + n0_2, c0_4);
                }
            }
            const int64_t x_until_2 = (stop - ((stop - x_whole_2) % 2));
            for (int64_t x_5 = x_whole_2; x_5 < x_until_2; x_5 += 2) {
                const int64_t a_6 = ((rest_2 * arg27) + (x_5 * arg28));
                fw_f32v c00_5 = fw_splat_f32(0.0f);
                fw_f32v c10_4 = fw_splat_f32(0.0f);
                const int64_t r1_4 = arg28;
                for (int64_t k_5 = 0; k_5 < arg29; k_5++) {
                    const fw_f32v b0_5 = fw_load_f32(b + b_3 + (k_5 * 12));
                    const fw_f32v a0_5 = fw_splat_f32(a[a_6 + k_5]);
                    c00_5 = (a0_5 * b0_5 + c00_5);
                    const fw_f32v a1_4 = fw_splat_f32(a[(a_6 + r1_4) + k_5]);
                    c10_4 = (a1_4 * b0_5 + c10_4);
                }
                fw_store_f32(tile + 0, c00_5);
                fw_store_f32(tile + 4, c10_4);
                for (int64_t m_4 = 0; m_4 < 2; m_4++) {
                    const fw_f32v c0_5 = fw_load_f32(tile + m_4 * 4);
                    fw_store_f32(y2 + ((rest_2 * arg13) + ((x_5 + m_4) * arg14)) + n0_2, c0_5);
                }
            }
            for (int64_t x_6 = x_until_2; x_6 < stop; x_6++) {
                const int64_t a_7 = ((rest_2 * arg30) + (x_6 * arg31));
                fw_f32v c00_6 = fw_splat_f32(0.0f);
                for (int64_t k_6 = 0; k_6 < arg32; k_6++) {
                    const fw_f32v b0_6 = fw_load_f32(b + b_3 + (k_6 * 12));
                    const fw_f32v a0_6 = fw_splat_f32(a[a_7 + k_6]);
                    c00_6 = (a0_6 * b0_6 + c00_6);
                }
                fw_store_f32(tile + 0, c00_6);
                const fw_f32v c0_6 = fw_load_f32(tile + 0);
                fw_store_f32(y2 + ((rest_2 * arg13) + (x_6 * arg14)) + n0_2, c0_6);
            }
        }
        if (whole_vectors < arg22) {
            const int64_t partial = (arg22 - whole_vectors);
            const int64_t b_4 = (((tail_2 * arg7) + ((rest_2 * arg33) * ((arg9 * arg7) * 12))) + (whole_vectors - tail_2));
            const int64_t x_whole_3 = (stop - ((stop - start) % 3));
            for (int64_t x_7 = start; x_7 < x_whole_3; x_7 += 3) {
                const int64_t a_8 = ((rest_2 * arg34) + (x_7 * arg35));
                fw_f32v c00_7 = fw_splat_f32(0.0f);
                fw_f32v c10_5 = fw_splat_f32(0.0f);
                fw_f32v c20_3 = fw_splat_f32(0.0f);
                const int64_t r1_5 = arg35;
                const int64_t r2_3 = (2 * arg35);
                for (int64_t k_7 = 0; k_7 < arg36; k_7++) {
                    const fw_f32v b0_7 = fw_load_f32(b + b_4 + (k_7 * 12));
                    const fw_f32v a0_7 = fw_splat_f32(a[a_8 + k_7]);
                    c00_7 = (a0_7 * b0_7 + c00_7);
                    const fw_f32v a1_5 = fw_splat_f32(a[(a_8 + r1_5) + k_7]);
                    c10_5 = (a1_5 * b0_7 + c10_5);
                    const fw_f32v a2_3 = fw_splat_f32(a[(a_8 + r2_3) + k_7]);
                    c20_3 = (a2_3 * b0_7 + c20_3);
                }
                fw_store_f32(tile + 0, c00_7);
                fw_store_f32(tile + 4, c10_5);
                fw_store_f32(tile + 8, c20_3);
                for (int64_t m_5 = 0; m_5 < 3; m_5++) {
                    const fw_f32v c0_7 = fw_load_f32(tile + m_5 * 4);
                    fw_store_f32_n(y2 + ((rest_2 * arg13) + ((x_7 + m_5) * arg14)) + whole_vectors, c0_7, partial);
                }
            }
            const int64_t x_until_3 = (stop - ((stop - x_whole_3) % 2));
            for (int64_t x_8 = x_whole_3; x_8 < x_until_3; x_8 += 2) {
                const int64_t a_9 = ((rest_2 * arg37) + (x_8 * arg38));
                fw_f32v c00_8 = fw_splat_f32(0.0f);
                fw_f32v c10_6 = fw_splat_f32(0.0f);
                const int64_t r1_6 = arg38;
                for (int64_t k_8 = 0; k_8 < arg39; k_8++) {
                    const fw_f32v b0_8 = fw_load_f32(b + b_4 + (k_8 * 12));
                    const fw_f32v a0_8 = fw_splat_f32(a[a_9 + k_8]);
                    c00_8 = (a0_8 * b0_8 + c00_8);
                    const fw_f32v a1_6 = fw_splat_f32(a[(a_9 + r1_6) + k_8]);
                    c10_6 = (a1_6 * b0_8 + c10_6);
                }
                fw_store_f32(tile + 0, c00_8);
                fw_store_f32(tile + 4, c10_6);
                for (int64_t m_6 = 0; m_6 < 2; m_6++) {
                    const fw_f32v c0_8 = fw_load_f32(tile + m_6 * 4);
                    fw_store_f32_n(y2 + ((rest_2 * arg13) + ((x_8 + m_6) * arg14)) + whole_vectors, c0_8, partial);
                }
            }
            for (int64_t x_9 = x_until_3; x_9 < stop; x_9++) {
                const int64_t a_10 = ((rest_2 * arg40) + (x_9 * arg41));
                fw_f32v c00_9 = fw_splat_f32(0.0f);
                for (int64_t k_9 = 0; k_9 < arg42; k_9++) {
                    const fw_f32v b0_9 = fw_load_f32(b + b_4 + (k_9 * 12));
                    const fw_f32v a0_9 = fw_splat_f32(a[a_10 + k_9]);
                    c00_9 = (a0_9 * b0_9 + c00_9);
                }
                fw_store_f32(tile + 0, c00_9);
                const fw_f32v c0_9 = fw_load_f32(tile + 0);
                fw_store_f32_n(y2 + ((rest_2 * arg13) + (x_9 * arg14)) + whole_vectors, c0_9, partial);
            }
        }
    }
}
