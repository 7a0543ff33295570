// Tensor cores: ldmatrix, and mma.sync of f16, bf16 and tf32 with sums in f32.
typedef unsigned u32;
__device__ u32 in_shared(const void *p) { return (u32)__cvta_generic_to_shared(p); }

// 16 x 16 of a by rows, 16 x 8 of b by rows (fetched transposed), c 16 x 8.
#define PRODUCT(NAME, TYPE)                                                                                          \
    extern "C" __global__ void NAME(const uint4 *a, const uint4 *b, const float *c, float *d) {                       \
        __shared__ uint4 as[32], bs[16];                                                                             \
        int t = threadIdx.x, at = t / 4 * 8 + t % 4 * 2;                                                             \
        as[t] = a[t];                                                                                                \
        if (t < 16) bs[t] = b[t];                                                                                    \
        __syncwarp();                                                                                                \
        u32 x[4], y[2];                                                                                              \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"                              \
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])                                                \
                     : "r"(in_shared(as + t % 16 * 2 + t / 16)));                                                    \
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"                                \
                     : "=r"(y[0]), "=r"(y[1])                                                                        \
                     : "r"(in_shared(bs + t % 16)));                                                                 \
        float r[4];                                                                                                  \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE ".f32 "                                  \
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"                           \
                     : "=f"(r[0]), "=f"(r[1]), "=f"(r[2]), "=f"(r[3])                                                \
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]), "f"(c[at]),                 \
                       "f"(c[at + 1]), "f"(c[at + 64]), "f"(c[at + 65]));                                            \
        d[at] = r[0], d[at + 1] = r[1], d[at + 64] = r[2], d[at + 65] = r[3];                                        \
    }
PRODUCT(f16, "f16")
PRODUCT(bf16, "bf16")

// a 16 x 8 by rows, b 8 x 8 by rows, rounded to tf32 first.
extern "C" __global__ void tf32(const float *a, const float *b, const float *c, float *d) {
    int t = threadIdx.x, row = t / 4, column = t % 4, at = row * 8 + column * 2;
    float from[6] = {a[row * 8 + column],     a[row * 8 + 64 + column], a[row * 8 + column + 4],
                     a[row * 8 + 68 + column], b[column * 8 + row],      b[(column + 4) * 8 + row]};
    u32 x[6];
#pragma unroll
    for (int i = 0; i < 6; i++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x[i]) : "f"(from[i]));
    float r[4];
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
                 : "=f"(r[0]), "=f"(r[1]), "=f"(r[2]), "=f"(r[3])
                 : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]), "f"(c[at]), "f"(c[at + 1]),
                   "f"(c[at + 64]), "f"(c[at + 65]));
    d[at] = r[0], d[at + 1] = r[1], d[at + 64] = r[2], d[at + 65] = r[3];
}

// Which element each lane gets of one, two and four 8 x 8 matrices, plain and transposed.
extern "C" __global__ void fragments(const uint4 *in, u32 *out) {
    __shared__ uint4 rows[32];
    int t = threadIdx.x;
    rows[t] = in[t];
    __syncwarp();
    u32 *mine = out + t * 14, at = in_shared(rows + t);
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(mine[0]) : "r"(at));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(mine[1]), "=r"(mine[2]) : "r"(at));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(mine[3]), "=r"(mine[4]), "=r"(mine[5]), "=r"(mine[6]) : "r"(at));
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(mine[7]) : "r"(at));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(mine[8]), "=r"(mine[9]) : "r"(at));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(mine[10]), "=r"(mine[11]), "=r"(mine[12]), "=r"(mine[13]) : "r"(at));
}
