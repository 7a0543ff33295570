// Copies into shared memory that do not wait: cp.async of 4, 8 and 16 bytes, in groups, with a part filled with zeros.
__device__ unsigned in_shared(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

// A tile of 16 bytes a thread, two stages deep; out = in + 1.
extern "C" __global__ void staged(const float4 *in, float4 *out, int tiles) {
    __shared__ float4 stage[2][64];
    int t = threadIdx.x;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(in_shared(&stage[0][t])), "l"(in + t));
    asm volatile("cp.async.commit_group;");
    for (int i = 0; i < tiles; i++) {
        if (i + 1 < tiles)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(in_shared(&stage[(i + 1) % 2][t])),
                         "l"(in + (i + 1) * 64 + t));
        asm volatile("cp.async.commit_group;");
        asm volatile("cp.async.wait_group 1;" ::: "memory");
        __syncthreads();
        float4 v = stage[i % 2][63 - t];
        out[i * 64 + 63 - t] = make_float4(v.x + 1, v.y + 1, v.z + 1, v.w + 1);
        __syncthreads();
    }
}

// 4 and 8 bytes; of the last thread's only `bytes`, the rest zeros.
extern "C" __global__ void filled(const int *in, int *out, int bytes) {
    __shared__ int four[32];
    __shared__ long long eight[16];
    int t = threadIdx.x;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(in_shared(&four[t])), "l"(in + t),
                 "r"(t == 31 ? 0 : 4));
    if (t < 16)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(in_shared(&eight[t])), "l"(in + 2 * t),
                     "r"(t == 15 ? bytes : 8));
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncthreads();
    out[t] = four[31 - t];
    out[32 + t] = ((int *)eight)[31 - t];
}
