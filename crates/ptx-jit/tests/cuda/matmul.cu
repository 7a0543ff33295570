// c = a b: tiles of both in shared memory, ragged edges filled with zeros.
template <int T> __device__ void product(const float *a, const float *b, float *c, int m, int n, int k) {
    __shared__ float as[T][T + 1], bs[T][T];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * T + y, column = blockIdx.x * T + x;
    float sum = 0;
    for (int from = 0; from < k; from += T) {
        as[y][x] = row < m && from + x < k ? a[row * k + from + x] : 0;
        bs[y][x] = column < n && from + y < k ? b[(from + y) * n + column] : 0;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < T; i++) sum = fmaf(as[y][i], bs[i][x], sum);
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

extern "C" __global__ void tiles_of_16(const float *a, const float *b, float *c, int m, int n, int k) {
    product<16>(a, b, c, m, n, k);
}

// The same with dynamic shared memory and a 4 x 4 block of results a thread, read as float4; m, n, k divide by 32.
extern "C" __global__ void __launch_bounds__(64) registers(const float *a, const float *b, float *c, int n, int k) {
    extern __shared__ float4 tiles[];
    float4 *as = tiles, *bs = tiles + 32 * 32 / 4;
    int x = threadIdx.x % 8, y = threadIdx.x / 8;
    a += blockIdx.y * 32 * k, b += blockIdx.x * 32, c += blockIdx.y * 32 * n + blockIdx.x * 32;
    float sums[4][4] = {};
    for (int from = 0; from < k; from += 32) {
        for (int i = threadIdx.x; i < 256; i += 64) {
            as[i] = *(const float4 *)&a[i / 8 * k + from + i % 8 * 4];
            bs[i] = *(const float4 *)&b[(from + i / 8) * n + i % 8 * 4];
        }
        __syncthreads();
#pragma unroll 8
        for (int i = 0; i < 32; i++) {
            float4 four = bs[i * 8 + x];
            float columns[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int r = 0; r < 4; r++) {
                float value = ((const float *)as)[(y * 4 + r) * 32 + i];
#pragma unroll
                for (int s = 0; s < 4; s++) sums[r][s] = fmaf(value, columns[s], sums[r][s]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < 4; r++)
        *(float4 *)&c[(y * 4 + r) * n + x * 4] = make_float4(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
}

// Double precision, a thread a result.
extern "C" __global__ void doubles(const double *a, const double *b, double *c, int n, int k) {
    int row = blockIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
    double sum = 0;
    for (int i = 0; i < k; i++) sum = fma(a[row * k + i], b[i * n + column], sum);
    c[row * n + column] = sum;
}
