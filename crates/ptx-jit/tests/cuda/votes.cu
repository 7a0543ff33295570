// Ballots, votes and matches.
extern "C" __global__ void votes(const int *x, unsigned *out) {
    int value = x[threadIdx.x], lane = threadIdx.x & 31;
    unsigned all = 0xffffffff, *mine = out + threadIdx.x * 8;
    mine[0] = __ballot_sync(all, value > 0);
    mine[1] = __any_sync(all, value == 3);
    mine[2] = __all_sync(all, value < 100);
    mine[3] = __match_any_sync(all, value);
    int same = 7;
    mine[4] = __match_all_sync(all, value / 64, &same);
    mine[5] = same;
    mine[6] = __match_any_sync(all, (unsigned long long)value * 0x100000001ull);
    mine[7] = __popc(mine[3] & ((1u << lane) - 1));
}

// The positive ones to the front of the warp's part, in their order; counts by votes over the block.
extern "C" __global__ void compact(const int *x, int *out, int *counts) {
    int value = x[threadIdx.x];
    unsigned lanes_before;
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lanes_before));
    unsigned chosen = __ballot_sync(0xffffffff, value > 0);
    if (value > 0) out[(threadIdx.x & ~31) + __popc(chosen & lanes_before)] = value;
    int count = __syncthreads_count(value > 0), all = __syncthreads_and(value > -50), any = __syncthreads_or(value == 49);
    if (threadIdx.x == 0) counts[0] = count, counts[1] = all != 0, counts[2] = any != 0;
}

// Neighbours in shared memory with a barrier of the warp alone.
extern "C" __global__ void neighbours(const int *x, int *out) {
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncwarp();
    int next = s[(t & 32) + ((t + 1) & 31)];
    __syncwarp();
    s[t] = next * 2;
    __syncthreads();
    out[t] = s[63 - t];
}

// Where the hardware's registers say a thread is.
extern "C" __global__ void where(unsigned *out) {
    unsigned id = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned *mine = out + (block * blockDim.x * blockDim.y * blockDim.z + id) * 8, lane, lt, le, eq, gt, ge;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lt));
    asm("mov.u32 %0, %%lanemask_le;" : "=r"(le));
    asm("mov.u32 %0, %%lanemask_eq;" : "=r"(eq));
    asm("mov.u32 %0, %%lanemask_gt;" : "=r"(gt));
    asm("mov.u32 %0, %%lanemask_ge;" : "=r"(ge));
    mine[0] = lane, mine[1] = lt, mine[2] = le, mine[3] = eq, mine[4] = gt, mine[5] = ge;
    mine[6] = block, mine[7] = warpSize;
}
