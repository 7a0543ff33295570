// Functions that stay functions: arguments and results of all kinds, recursion, local arrays, pointers to locals.
struct Pair {
    double d;
    int i;
    short s;
    char c[5];
};

__device__ __noinline__ Pair mixed(Pair p, float f, unsigned char b, long long l) {
    p.d += f;
    p.i -= b;
    p.s = (short)(p.s * l);
    p.c[4] ^= p.c[1];
    return p;
}

extern "C" __global__ void structs(const Pair *in, Pair *out) {
    int t = threadIdx.x;
    out[t] = mixed(in[t], 0.25f * t, 200 + t, t - 3);
}

__device__ __noinline__ unsigned ackermann(unsigned m, unsigned n) {
    if (m == 0) return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

extern "C" __global__ void recursion(unsigned *out) { out[threadIdx.x] = ackermann(threadIdx.x % 3, threadIdx.x / 3); }

__device__ __noinline__ void sort(int *x, int n) {
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && x[j - 1] > x[j]; j--) {
            int swap = x[j];
            x[j] = x[j - 1], x[j - 1] = swap;
        }
}

// Local memory, indexed by what is only known then; its address goes through a function.
extern "C" __global__ void medians(const int *in, int n, int *out) {
    int window[33];
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    for (int i = 0; i < n; i++) window[i] = in[t + i];
    sort(window, n);
    out[t] = window[n / 2];
}

// One function over global, shared and local memory alike: addresses are generic.
__device__ __noinline__ int dot(const int *a, const int *b, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

extern "C" __global__ void spaces(const int *in, int *out) {
    __shared__ int shared[32];
    int local[8], t = threadIdx.x;
    shared[t] = in[t] * 3;
    for (int i = 0; i < 8; i++) local[i] = in[(t + i * 5) % 32] - t;
    __syncthreads();
    out[t * 4] = dot(in, shared, 32);
    out[t * 4 + 1] = dot(local, shared + t % 24, 8);
    out[t * 4 + 2] = dot(local, in + t % 24, 8);
    out[t * 4 + 3] = __isShared(shared) + 2 * __isLocal(local) + 4 * __isGlobal(in) + 8 * __isGlobal(local);
}
