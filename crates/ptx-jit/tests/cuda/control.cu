// Branches: switch tables, loops that lanes leave at different times, predicates, early returns.
extern "C" __global__ void table(const int *x, const int *y, int *out) {
    int t = threadIdx.x, a = y[t];
    switch (x[t]) {
    case 0: a = a * 3 + 1; break;
    case 1: a = a ^ 0x5a5a; break;
    case 2: a = out[t] - a;
    case 3: a = a / 7; break;
    case 4: a = __popc(a); break;
    case 5: a = a << 3 | t; break;
    case 6: out[t + 64] = a; a = 0; break;
    case 8: a = -a; break;
    case 9: return;
    default: a = 99;
    }
    out[t] = a;
}

// How many steps to 1.
extern "C" __global__ void collatz(const unsigned *x, unsigned *out) {
    unsigned long long v = x[threadIdx.x];
    unsigned steps = 0;
    while (v != 1) {
        v = v & 1 ? 3 * v + 1 : v / 2;
        steps++;
    }
    out[threadIdx.x] = steps;
}

// Barriers in a loop whose length all share, work that only some do.
extern "C" __global__ void some(const int *x, int *out, int rounds) {
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = x[t];
    for (int i = 0; i < rounds; i++) {
        __syncthreads();
        int left = s[(t + 63) % 64], own = s[t];
        __syncthreads();
        if ((own + i) % 3 == 0) s[t] = own + left;
        else if (own & 1 && left > 5) s[t] = own - 1;
    }
    __syncthreads();
    out[t] = s[t];
}

// Some threads end before the others meet at a barrier.
extern "C" __global__ void leavers(const int *x, int *out) {
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    if (t >= 32 + 16) return;
    int v = s[63 - t];
    __syncthreads();
    s[t] = v;
    __syncthreads();
    out[t] = s[47 - t];
}

// In double precision a nest of loops with breaks and continues: primes by trial.
extern "C" __global__ void primes(int *out, int upto) {
    for (int n = 2 + threadIdx.x; n < upto; n += blockDim.x) {
        int prime = 1;
        for (int d = 2; (double)d * d <= n; d++) {
            if (d > 2 && !(d & 1)) continue;
            if (n % d == 0) {
                prime = 0;
                break;
            }
        }
        out[n] = prime;
    }
}

// Compilers make trees of comparisons of a switch; this one has a table of branches.
extern "C" __global__ void branches(const unsigned *x, int *out) {
    int r;
    asm("{\n\t"
        "targets: .branchtargets none, one, two, none;\n\t"
        "mov.u32 %0, 7;\n\t"
        "brx.idx %1, targets;\n\t"
        "two: add.s32 %0, %0, 200;\n\t"
        "one: add.s32 %0, %0, 10;\n\t"
        "none:\n\t"
        "}"
        : "=r"(r)
        : "r"(x[threadIdx.x]));
    out[threadIdx.x] = r;
}
