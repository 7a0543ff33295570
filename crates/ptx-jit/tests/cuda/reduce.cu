// Reductions by warp shuffles: grid-stride loop, lanes, warps through shared memory, blocks by an atomic.

__device__ float warp_sum(float x) {
    for (int step = 16; step > 0; step /= 2) x += __shfl_down_sync(0xffffffff, x, step);
    return x;
}

// out[block] = the sum of the block's elements, in a fixed order.
extern "C" __global__ void sum(const float *x, int n, float *out) {
    __shared__ float of_warps[32];
    float total = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) total += x[i];
    total = warp_sum(total);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) of_warps[warp] = total;
    __syncthreads();
    if (warp == 0) {
        total = warp_sum(lane < blockDim.x / 32 ? of_warps[lane] : 0.0f);
        if (lane == 0) out[blockIdx.x] = total;
    }
}

// The largest and its index; the first of equals.
extern "C" __global__ void largest(const float *x, int n, unsigned long long *out) {
    float best = -INFINITY;
    int at = 0x7fffffff;
    for (int i = threadIdx.x; i < n; i += 32)
        if (x[i] > best) best = x[i], at = i;
    for (int step = 1; step < 32; step *= 2) {
        float other = __shfl_xor_sync(0xffffffff, best, step);
        int other_at = __shfl_xor_sync(0xffffffff, at, step);
        if (other > best || (other == best && other_at < at)) best = other, at = other_at;
    }
    if (threadIdx.x == 0) *out = (unsigned long long)__float_as_uint(best) << 32 | at;
}

// Integer reductions over a warp; double precision goes through two 32-bit shuffles.
extern "C" __global__ void warp(const int *x, const double *d, int *out, double *product) {
    int value = x[threadIdx.x];
    unsigned all = 0xffffffff;
    out[0] = __reduce_add_sync(all, value);
    out[1] = __reduce_min_sync(all, value);
    out[2] = __reduce_max_sync(all, value);
    out[3] = __reduce_and_sync(all, value);
    out[4] = __reduce_or_sync(all, value);
    out[5] = __reduce_xor_sync(all, value);
    out[6] = __reduce_max_sync(all, (unsigned)value);
    double p = d[threadIdx.x];
    for (int step = 16; step > 0; step /= 2) p *= __shfl_xor_sync(all, p, step);
    product[threadIdx.x] = p;
}

// Every kind of shuffle over every width, lanes out of range included.
extern "C" __global__ void shuffles(const unsigned *x, unsigned *out) {
    unsigned value = x[threadIdx.x], all = 0xffffffff;
    int at = threadIdx.x;
#pragma unroll
    for (int width = 2; width <= 32; width *= 2) {
        out[at] = __shfl_sync(all, value, 5, width);
        out[at + 32] = __shfl_up_sync(all, value, 3, width);
        out[at + 64] = __shfl_down_sync(all, value, 3, width);
        out[at + 96] = __shfl_xor_sync(all, value, 6, width);
        out[at + 128] = __shfl_sync(all, value, threadIdx.x * 7 + 3, width);
        at += 160;
    }
}

// Only a part of the warp takes part: the even lanes, then the odd ones.
extern "C" __global__ void halves(const int *x, int *out) {
    int value = x[threadIdx.x];
    unsigned mine = threadIdx.x % 2 ? 0xaaaaaaaa : 0x55555555;
    if (threadIdx.x % 2) {
        for (int step = 2; step < 32; step *= 2) value += __shfl_xor_sync(mine, value, step);
    } else {
        for (int step = 2; step < 32; step *= 2) value = max(value, __shfl_xor_sync(mine, value, step));
    }
    out[threadIdx.x] = value;
}
