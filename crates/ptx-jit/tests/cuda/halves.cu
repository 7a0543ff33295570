// Halves themselves: two in a register, fused and compared.
extern "C" __global__ void half_arithmetic(const unsigned *x, const unsigned *y, unsigned *out) {
    int t = threadIdx.x;
    unsigned *o = out + t * 5;
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(o[0]) : "r"(x[t]), "r"(y[t]));
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(o[1]) : "r"(x[t]), "r"(y[t]));
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(o[2]) : "r"(x[t]), "r"(y[t]), "r"(x[t] ^ y[t]));
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(o[3]) : "r"(x[t]), "r"(y[t]), "r"(x[t] ^ y[t]));
    asm("max.f16x2 %0, %1, %2;" : "=r"(o[4]) : "r"(x[t]), "r"(y[t]));
}
