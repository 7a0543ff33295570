// Tricks with integers. A row of results a thread.
typedef unsigned u32;
typedef unsigned long long u64;

extern "C" __global__ void words(const u32 *x, const u32 *y, u32 *out) {
    int t = threadIdx.x;
    u32 a = x[t], b = y[t], r, *o = out + t * 32;
    o[0] = __byte_perm(a, b, 0x3715);
    o[1] = __byte_perm(a, b, b);
    o[2] = __funnelshift_l(a, b, b);
    o[3] = __funnelshift_r(a, b, a);
    o[4] = __funnelshift_lc(a, b, b & 63);
    o[5] = __funnelshift_rc(a, b, b & 63);
    o[6] = __brev(a);
    o[7] = __clz(a);
    o[8] = __popc(a);
    o[9] = __ffs(a);
    o[10] = a * b;
    o[11] = __umulhi(a, b);
    o[12] = __mulhi((int)a, (int)b);
    o[13] = __umul24(a, b);
    o[14] = __mul24((int)a, (int)b);
    o[15] = __sad((int)a, (int)b, 7u);
    o[16] = __usad(a, b, 9u);
    o[17] = __hadd((int)a, (int)b);
    o[18] = __urhadd(a, b);
    o[19] = a / (b | 1);
    o[20] = a % (b | 1);
    o[21] = (int)a / ((int)(b >> 1) | 1);
    o[22] = (int)a % ((int)(b >> 1) | 1);
    o[23] = (int)a >> (b & 31);
    o[24] = a << (b & 31) | a >> (-b & 31);
    o[25] = a & b ^ ~a & 0x55555555;
    o[26] = abs((int)a);
    o[27] = min((int)a, (int)b) ^ max(a, b);
    asm("bfe.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(b >> 8));
    o[28] = r;
    asm("bfe.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(b >> 8));
    o[29] = r;
    asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(r) : "r"(a), "r"(b), "r"(b >> 16), "r"(b >> 24));
    o[30] = r;
    asm("bfind.s32 %0, %1;" : "=r"(r) : "r"(a));
    o[31] = r;
}

extern "C" __global__ void longs(const u64 *x, const u64 *y, u64 *out) {
    int t = threadIdx.x;
    u64 a = x[t], b = y[t], r, *o = out + t * 22;
    o[0] = a * b;
    o[1] = __umul64hi(a, b);
    o[2] = __mul64hi((long long)a, (long long)b);
    o[3] = __brevll(a);
    o[4] = __clzll(a);
    o[5] = __popcll(a);
    o[6] = __ffsll(a);
    o[7] = a / (b | 1);
    o[8] = a % (b | 1);
    o[9] = (long long)a / ((long long)(b >> 1) | 1);
    o[10] = (long long)a % ((long long)(b >> 1) | 1);
    o[11] = (long long)a >> (b & 63);
    o[12] = a << (b & 63);
    o[13] = (u64)(u32)a * (u32)b;
    o[14] = (long long)(int)a * (int)b + (long long)b;
    o[15] = min((long long)a, (long long)b) ^ max(a, b);
    asm("bfe.u64 %0, %1, %2, %3;" : "=l"(r) : "l"(a), "r"((u32)b), "r"((u32)b >> 8));
    o[16] = r;
    asm("bfe.s64 %0, %1, %2, %3;" : "=l"(r) : "l"(a), "r"((u32)b), "r"((u32)b >> 8));
    o[17] = r;
    asm("bfi.b64 %0, %1, %2, %3, %4;" : "=l"(r) : "l"(a), "l"(b), "r"((u32)b >> 16), "r"((u32)b >> 24));
    o[18] = r;
    // Shift counts beyond the width clamp.
    asm("shl.b64 %0, %1, %2;" : "=l"(r) : "l"(a), "r"((u32)b & 127));
    o[19] = r;
    asm("shr.s64 %0, %1, %2;" : "=l"(r) : "l"(a), "r"((u32)b & 127));
    o[20] = r;
    asm("shr.u64 %0, %1, %2;" : "=l"(r) : "l"(a), "r"((u32)b & 127));
    o[21] = r;
}

// Carries through 128 bits, and shifts of 32 bits beyond the width.
extern "C" __global__ void wide(const u32 *x, const u32 *y, u32 *out) {
    int t = threadIdx.x;
    u32 *o = out + t * 11, a = x[t], b = y[t];
    const u32 *p = x + t, *q = y + t;
    asm("add.cc.u32 %0, %4, %8; addc.cc.u32 %1, %5, %9; addc.cc.u32 %2, %6, %10; addc.u32 %3, %7, %11;"
        : "=r"(o[0]), "=r"(o[1]), "=r"(o[2]), "=r"(o[3])
        : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(q[0]), "r"(q[1]), "r"(q[2]), "r"(q[3]));
    asm("sub.cc.u32 %0, %3, %6; subc.cc.u32 %1, %4, %7; subc.u32 %2, %5, %8;"
        : "=r"(o[4]), "=r"(o[5]), "=r"(o[6])
        : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(q[0]), "r"(q[1]), "r"(q[2]));
    asm("shl.b32 %0, %1, %2;" : "=r"(o[7]) : "r"(a), "r"(b & 63));
    asm("shr.u32 %0, %1, %2;" : "=r"(o[8]) : "r"(a), "r"(b & 63));
    asm("shr.s32 %0, %1, %2;" : "=r"(o[9]) : "r"(a), "r"(b & 63));
    o[10] = __dp4a((int)a, (int)b, (int)(a ^ b));
}

// 8 and 16 bits.
extern "C" __global__ void narrow(const short *x, const signed char *y, int *out) {
    int t = threadIdx.x, *o = out + t * 8;
    short a = x[t];
    signed char b = y[t];
    unsigned short u = (unsigned short)a;
    unsigned char v = (unsigned char)b;
    o[0] = (short)(a * b);
    o[1] = (unsigned short)(u << (v & 7));
    o[2] = (short)(a >> (v & 7));
    o[3] = (signed char)(b + 100);
    o[4] = (unsigned char)(v - 100) > v;
    o[5] = a < b ? a : b;
    o[6] = (short)(a / (b | 1));
    o[7] = __vadd2((u32)u | (u32)v << 16, 0x7fff0001);
}
