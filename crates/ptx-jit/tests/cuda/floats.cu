// Arithmetic of f32 and f64 with all roundings, and what NaN, infinities and signed zeros do. A row of results a thread.
extern "C" __global__ void singles(const float *x, const float *y, const float *z, float *out) {
    int t = threadIdx.x;
    float a = x[t], b = y[t], c = z[t], *o = out + t * 28, r;
    o[0] = __fadd_rn(a, b);
    o[1] = __fadd_rz(a, b);
    o[2] = __fadd_ru(a, b);
    o[3] = __fadd_rd(a, b);
    o[4] = __fmul_rn(a, b);
    o[5] = __fmul_rz(a, b);
    o[6] = __fmul_ru(a, b);
    o[7] = __fmul_rd(a, b);
    o[8] = __fmaf_rn(a, b, c);
    o[9] = __fmaf_rz(a, b, c);
    o[10] = __fmaf_ru(a, b, c);
    o[11] = __fmaf_rd(a, b, c);
    o[12] = a / b;
    o[13] = __fdiv_rz(a, b);
    o[14] = __fsqrt_rn(a);
    o[15] = __fsqrt_ru(a);
    o[16] = __frcp_rn(a);
    o[17] = fminf(a, b);
    o[18] = fmaxf(a, b);
    o[19] = copysignf(a, b);
    o[20] = fabsf(a) - b;
    o[21] = -a;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    o[22] = r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    o[23] = r;
    asm("add.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    o[24] = r;
    asm("mul.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    o[25] = r;
    asm("add.sat.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    o[26] = r;
    asm("fma.rn.sat.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(a), "f"(b), "f"(c));
    o[27] = r;
}

extern "C" __global__ void doubles(const double *x, const double *y, const double *z, double *out) {
    int t = threadIdx.x;
    double a = x[t], b = y[t], c = z[t], *o = out + t * 16;
    o[0] = __dadd_rn(a, b);
    o[1] = __dadd_ru(a, b);
    o[2] = __dmul_rn(a, b);
    o[3] = __dmul_rd(a, b);
    o[4] = __fma_rn(a, b, c);
    o[5] = __fma_rz(a, b, c);
    o[6] = a / b;
    o[7] = __ddiv_ru(a, b);
    o[8] = sqrt(a);
    o[9] = __drcp_rn(a);
    o[10] = fmin(a, b);
    o[11] = fmax(a, b);
    o[12] = copysign(a, b);
    o[13] = fabs(a);
    o[14] = a - b;
    o[15] = a < b ? c : -c;
}

// A bit for each comparison, ordered and not, and for each class.
extern "C" __global__ void comparisons(const float *x, const float *y, unsigned *out) {
    int t = threadIdx.x;
    float a = x[t], b = y[t];
    unsigned bits = (a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5;
    bits |= (!(a < b)) << 6 | (!(a <= b)) << 7 | (!(a > b)) << 8 | (!(a >= b)) << 9;
    bits |= (isnan(a) ? 1 : 0) << 10 | (isinf(a) ? 1 : 0) << 11 | (isfinite(a) ? 1 : 0) << 12 | (signbit(a) ? 1 : 0) << 13;
    bits |= (!(a >= b) && !(a < b) ? 1 : 0) << 14 | (a < b || a > b ? 1 : 0) << 15;
    int r;
#define TEST(OP, BIT)                                                                                                 \
    asm("{.reg .pred p; setp." OP ".f32 p, %1, %2; selp.b32 %0, 1, 0, p;}" : "=r"(r) : "f"(a), "f"(b));               \
    bits |= (unsigned)r << BIT;
    TEST("equ", 16) TEST("neu", 17) TEST("ltu", 18) TEST("leu", 19) TEST("gtu", 20) TEST("geu", 21)
    TEST("num", 22) TEST("nan", 23)
    asm("{.reg .pred p; testp.normal.f32 p, %1; selp.b32 %0, 1, 0, p;}" : "=r"(r) : "f"(a));
    bits |= (unsigned)r << 24;
    asm("{.reg .pred p; testp.subnormal.f32 p, %1; selp.b32 %0, 1, 0, p;}" : "=r"(r) : "f"(a));
    bits |= (unsigned)r << 25;
    asm("{.reg .pred p, q; setp.lt.f32 q, %2, %1; setp.gt.and.f32 p|q, %1, 0f00000000, q; selp.b32 %0, 1, 0, q;}"
        : "=r"(r) : "f"(a), "f"(b));
    bits |= (unsigned)r << 26;
    asm("set.lt.u32.f32 %0, %1, %2;" : "=r"(r) : "f"(a), "f"(b));
    bits |= (unsigned)r & 1u << 27;
    out[t] = bits;
}
