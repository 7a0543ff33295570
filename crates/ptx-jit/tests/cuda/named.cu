// Named barriers: one half of the block hands over to the other and does not wait, then each half meets alone.
extern "C" __global__ void handed_over(const int *x, int *out) {
    __shared__ int s[64];
    int t = threadIdx.x;
    if (t >= 32) {
        s[t] = x[t] * 3;
        asm volatile("bar.arrive 1, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 1, 64;" ::: "memory");
        s[t] = s[t + 32] + 1;
    }
    asm volatile("bar.sync %0, 32;" ::"r"(2 + t / 32) : "memory");
    out[t] = s[t ^ 7];
}
