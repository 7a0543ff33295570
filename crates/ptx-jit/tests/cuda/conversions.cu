// Conversions with all their roundings. A row of results a thread.
typedef unsigned u32;
typedef unsigned long long u64;

extern "C" __global__ void to_integers(const float *x, const double *y, long long *out) {
    int t = threadIdx.x;
    float f = x[t];
    double d = y[t];
    long long *o = out + t * 24;
    o[0] = __float2int_rn(f);
    o[1] = __float2int_rz(f);
    o[2] = __float2int_ru(f);
    o[3] = __float2int_rd(f);
    o[4] = __float2uint_rn(f);
    o[5] = __float2uint_rz(f);
    o[6] = __float2uint_ru(f);
    o[7] = __float2uint_rd(f);
    o[8] = __float2ll_rn(f);
    o[9] = __float2ll_rz(f);
    o[10] = __float2ull_ru(f);
    o[11] = __float2ull_rd(f);
    o[12] = __double2int_rn(d);
    o[13] = __double2int_rz(d);
    o[14] = __double2uint_ru(d);
    o[15] = __double2uint_rd(d);
    o[16] = __double2ll_rn(d);
    o[17] = __double2ll_rz(d);
    o[18] = __double2ll_ru(d);
    o[19] = __double2ull_rd(d);
    o[20] = __double2ull_rn(d);
    o[21] = __double2hiint(d);
    o[22] = __double2loint(d);
    short narrow;
    asm("cvt.rzi.s16.f32 %0, %1;" : "=h"(narrow) : "f"(f));
    o[23] = narrow;
}

extern "C" __global__ void from_integers(const long long *x, float *out, double *outd) {
    int t = threadIdx.x;
    long long l = x[t];
    int i = (int)l;
    u32 u = (u32)l;
    u64 w = (u64)l;
    float *o = out + t * 16;
    o[0] = __int2float_rn(i);
    o[1] = __int2float_rz(i);
    o[2] = __int2float_ru(i);
    o[3] = __int2float_rd(i);
    o[4] = __uint2float_rn(u);
    o[5] = __uint2float_rz(u);
    o[6] = __uint2float_ru(u);
    o[7] = __uint2float_rd(u);
    o[8] = __ll2float_rn(l);
    o[9] = __ll2float_rz(l);
    o[10] = __ll2float_ru(l);
    o[11] = __ll2float_rd(l);
    o[12] = __ull2float_rn(w);
    o[13] = __ull2float_rz(w);
    o[14] = (float)(short)i;
    o[15] = (float)(unsigned char)i;
    double *d = outd + t * 8;
    d[0] = __int2double_rn(i);
    d[1] = __uint2double_rn(u);
    d[2] = __ll2double_rn(l);
    d[3] = __ll2double_rz(l);
    d[4] = __ll2double_ru(l);
    d[5] = __ll2double_rd(l);
    d[6] = __ull2double_rn(w);
    d[7] = __ull2double_ru(w);
}

extern "C" __global__ void between(const double *x, const float *y, float *out, double *outd) {
    int t = threadIdx.x;
    double d = x[t];
    float f = y[t];
    float *o = out + t * 9;
    o[0] = __double2float_rn(d);
    o[1] = __double2float_rz(d);
    o[2] = __double2float_ru(d);
    o[3] = __double2float_rd(d);
    o[4] = floorf(f);
    o[5] = ceilf(f);
    o[6] = truncf(f);
    o[7] = rintf(f);
    o[8] = __saturatef(f);
    double *e = outd + t * 5;
    e[0] = f;
    e[1] = floor(d);
    e[2] = ceil(d);
    e[3] = trunc(d);
    e[4] = rint(d);
}

extern "C" __global__ void halves(const float *x, unsigned short *out, float *back) {
    int t = threadIdx.x;
    float f = x[t];
    unsigned short *o = out + t * 7;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(o[0]) : "f"(f));
    asm("cvt.rz.f16.f32 %0, %1;" : "=h"(o[1]) : "f"(f));
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(o[2]) : "f"(f));
    asm("cvt.rz.bf16.f32 %0, %1;" : "=h"(o[3]) : "f"(f));
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(f), "f"(-f));
    o[4] = pair, o[5] = pair >> 16;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(f), "f"(f + 1));
    o[6] = pair ^ pair >> 16;
    asm("cvt.f32.f16 %0, %1;" : "=f"(back[t * 2]) : "h"(o[0]));
    back[t * 2 + 1] = __uint_as_float((u32)o[2] << 16);
}
