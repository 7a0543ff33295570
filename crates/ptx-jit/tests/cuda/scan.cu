// An inclusive scan of integers in three kernels: blocks, the blocks' totals, and adding those.
extern "C" __global__ void blocks(const int *x, int n, int *out, int *totals) {
    __shared__ int of_warps[32];
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int sum = i < n ? x[i] : 0;
    for (int step = 1; step < 32; step *= 2) {
        int other = __shfl_up_sync(0xffffffff, sum, step);
        if (lane >= step) sum += other;
    }
    if (lane == 31) of_warps[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        int total = lane < blockDim.x / 32 ? of_warps[lane] : 0;
        for (int step = 1; step < 32; step *= 2) {
            int other = __shfl_up_sync(0xffffffff, total, step);
            if (lane >= step) total += other;
        }
        of_warps[lane] = total;
    }
    __syncthreads();
    if (warp > 0) sum += of_warps[warp - 1];
    if (i < n) out[i] = sum;
    if (threadIdx.x == blockDim.x - 1) totals[blockIdx.x] = sum;
}

// One block, Hillis and Steele in dynamic shared memory.
extern "C" __global__ void totals(int *x, int n) {
    extern __shared__ int both[];
    int *from = both, *to = both + blockDim.x, t = threadIdx.x;
    from[t] = t < n ? x[t] : 0;
    for (int step = 1; step < blockDim.x; step *= 2) {
        __syncthreads();
        to[t] = from[t] + (t >= step ? from[t - step] : 0);
        int *swap = from;
        from = to, to = swap;
    }
    if (t < n) x[t] = from[t];
}

extern "C" __global__ void add(int *x, int n, const int *totals) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (blockIdx.x > 0 && i < n) x[i] += totals[blockIdx.x - 1];
}
