// Instructions whose bits are the GPU's own: refused unless they are asked for.
extern "C" __global__ void exponential(const float *x, float *out) { out[threadIdx.x] = __expf(x[threadIdx.x]); }
extern "C" __global__ void sine(const float *x, float *out) { out[threadIdx.x] = __sinf(x[threadIdx.x]); }
extern "C" __global__ void quotient(const float *x, float *out) { out[threadIdx.x] = __fdividef(1.0f, x[threadIdx.x]); }
extern "C" __global__ void root(const float *x, float *out) { out[threadIdx.x] = rsqrtf(x[threadIdx.x]); }
