// Functions chosen at run time.
__device__ int twice(int x) { return 2 * x; }
__device__ int square(int x) { return x * x; }
__device__ int minus(int x) { return -x; }
__device__ int (*const table[3])(int) = {twice, square, minus};

extern "C" __global__ void chosen(const int *which, int *out) { out[threadIdx.x] = table[which[threadIdx.x]](threadIdx.x + 5); }
