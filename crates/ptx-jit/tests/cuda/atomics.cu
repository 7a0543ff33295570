// A histogram of bytes: a block's counts in shared memory, added to all with atomics.
extern "C" __global__ void histogram(const unsigned char *x, int n, unsigned *counts) {
    __shared__ unsigned of_block[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) of_block[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&of_block[x[i]], 1);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (of_block[i]) atomicAdd(&counts[i], of_block[i]);
}

// One of each on global memory; what does not depend on the order is compared.
extern "C" __global__ void each(int *i, unsigned *u, unsigned long long *l, long long *s, float *f, double *d) {
    int t = blockIdx.x * blockDim.x + threadIdx.x, value = (t * 2654435761u >> 7) - 16777216;
    atomicAdd(&i[0], value);
    atomicSub(&i[1], value);
    atomicMin(&i[2], value);
    atomicMax(&i[3], value);
    atomicAnd(&u[0], ~(1u << t % 13));
    atomicOr(&u[1], 1u << t % 29);
    atomicXor(&u[2], value);
    atomicInc(&u[3], 16);
    atomicDec(&u[4], 16);
    atomicMin(&u[5], (unsigned)value);
    atomicMax(&u[6], (unsigned)value);
    atomicAdd(&l[0], (unsigned long long)value);
    atomicMax(&l[1], (unsigned long long)value << 9);
    atomicMin(&s[0], (long long)value * 77);
    atomicXor(&l[2], (unsigned long long)value << 13);
    atomicAdd(f, 1.0f);
    atomicAdd(d, 0.5);
}

// Tickets: what the atomics return. Every number up to the count is given out once.
extern "C" __global__ void tickets(unsigned *next, unsigned *taken, unsigned long long *next64, unsigned *by) {
    unsigned mine = atomicAdd(next, 1);
    taken[mine] = 1 + blockIdx.x * blockDim.x + threadIdx.x;
    by[atomicAdd(next64, 3) / 3] = mine;
    __shared__ unsigned in_block;
    if (threadIdx.x == 0) in_block = 0;
    __syncthreads();
    unsigned here = atomicInc(&in_block, 0xffffffff);
    taken[gridDim.x * blockDim.x + blockIdx.x * blockDim.x + here] = threadIdx.x + 1;
}

// An addition built of compare and swap, 32 and 64 bits, and a chain of exchanges.
extern "C" __global__ void swaps(unsigned *sum, unsigned long long *product, unsigned *chain, unsigned *seen) {
    unsigned t = blockIdx.x * blockDim.x + threadIdx.x, old = *(volatile unsigned *)sum, was;
    do was = old, old = atomicCAS(sum, was, was + t * t);
    while (old != was);
    unsigned long long now = *(volatile unsigned long long *)product, before;
    do before = now, now = atomicCAS(product, before, before * 3 + 0);
    while (now != before);
    seen[t] = atomicExch(chain, t + 1);
}

// The last block to arrive adds up what the others wrote: a fence and a counter, as threadFenceReduction has it.
extern "C" __global__ void last_block(const int *x, int n, volatile int *parts, unsigned *arrived, int *out) {
    __shared__ int total;
    __shared__ bool last;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    int own = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) own += x[i];
    atomicAdd(&total, own);
    __syncthreads();
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = total;
        __threadfence();
        last = atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        int sum = 0;
        for (int i = 0; i < gridDim.x; i++) sum += parts[i];
        *out = sum;
    }
}
