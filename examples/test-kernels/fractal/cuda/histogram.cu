// How often each number below 256 occurs; larger ones count as 255. To PTX: nvcc -ptx -arch=sm_80 histogram.cu
extern "C" __global__ void histogram(const unsigned *x, unsigned n, unsigned *counts) {
    __shared__ unsigned of_block[256];
    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) of_block[i] = 0;
    __syncthreads();
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&of_block[min(x[i], 255u)], 1);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&counts[i], of_block[i]);
}
