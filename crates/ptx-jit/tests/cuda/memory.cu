// Variables of the module: constants, globals with values, static shared memory, addresses as values.
__constant__ float weights[5] = {1.0f, -0.5f, 0.25f, 3.0f, -7.5f};
__constant__ struct {
    short s;
    double d;
    unsigned char c[3];
} mixed = {-3, 2.5, {1, 2, 255}};
__constant__ int unset[4];
__device__ int counter = 41;
__device__ unsigned long long big[2] = {0x0123456789abcdefull, ~0ull};
__device__ const int values[4] = {10, 20, 30, 40};
__device__ const int *const pointers[3] = {values + 2, &counter, values};
__device__ float scratch[64];

extern "C" __global__ void constants(const float *x, int n, float *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0;
    for (int k = 0; k < 5; k++) sum = fmaf(weights[k], i + k < n ? x[i + k] : 0.0f, sum);
    out[i] = sum;
    out[n + i] = (float)mixed.d + mixed.s + mixed.c[i % 3];
    out[2 * n + i] = unset[i % 4];
}

extern "C" __global__ void globals(unsigned long long *out) {
    int t = threadIdx.x;
    if (t == 0) out[0] = counter++;
    if (t == 1) out[1] = big[0] ^ big[1];
    if (t >= 2 && t < 5) out[t] = *pointers[t - 2];
    scratch[t] = t * 0.5f;
}

extern "C" __global__ void again(float *out) { out[threadIdx.x] = scratch[63 - threadIdx.x] + counter; }

// Two arrays and a scalar in static shared memory beside dynamic.
extern "C" __global__ void shared(const short *x, int *out, int n) {
    __shared__ short s[64];
    __shared__ double d[3][7];
    __shared__ int total;
    extern __shared__ int dynamic[];
    int t = threadIdx.x;
    s[t] = x[t];
    dynamic[n - 1 - t] = t;
    if (t < 21) d[t / 7][t % 7] = t * 1.5;
    if (t == 0) total = 0;
    __syncthreads();
    atomicAdd(&total, s[t ^ 5]);
    __syncthreads();
    out[t] = total + (int)d[t % 3][t % 7] + dynamic[t] + s[63 - t];
}

// All widths, signed and not, and vectors.
extern "C" __global__ void widths(const unsigned char *in, long long *out) {
    int t = threadIdx.x;
    long long *mine = out + t * 12;
    mine[0] = ((const signed char *)in)[t];
    mine[1] = in[t];
    mine[2] = ((const short *)in)[t];
    mine[3] = ((const unsigned short *)in)[t];
    mine[4] = ((const int *)in)[t];
    mine[5] = ((const unsigned *)in)[t];
    mine[6] = ((const long long *)in)[t];
    uchar4 c = ((const uchar4 *)in)[t];
    mine[7] = c.x + c.y * 3 + c.z * 5 + c.w * 7;
    short2 s = ((const short2 *)in)[t];
    mine[8] = s.x - s.y;
    longlong2 l = ((const longlong2 *)in)[t];
    mine[9] = l.x ^ l.y;
    int4 i = ((const int4 *)in)[t];
    mine[10] = (long long)i.x + i.y - i.z - i.w;
    mine[11] = __ldg((const int *)in + t) + __ldcg((const int *)in + 2 * t) + __ldcs((const int *)in + 3 * t);
    __syncthreads();
    ((unsigned char *)(out + 12 * 32))[t] = (unsigned char)mine[6];
    ((short *)(out + 12 * 32 + 4))[t] = (short)mine[6];
    __stcg((int2 *)(out + 12 * 32 + 12) + t, make_int2((int)mine[4], t));
}
