// What nvcc's headers would say of CUDA, as far as these files use it, for clang without any CUDA toolkit.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define FUNCTION static __device__ inline __attribute__((always_inline))
#define INFINITY __builtin_inff()

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
FUNCTION float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

#include <__clang_cuda_builtin_vars.h>

FUNCTION float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FUNCTION double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
FUNCTION int max(int a, int b) { return a > b ? a : b; }
FUNCTION unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
FUNCTION int __popc(unsigned x) { return __builtin_popcount(x); }

#define SHUFFLE(NAME, BUILTIN, LAST)                                                                                  \
    FUNCTION int NAME(unsigned mask, int x, int lane, int width = 32) {                                               \
        return BUILTIN(mask, x, lane, (32 - width) << 8 | LAST);                                                      \
    }                                                                                                                 \
    FUNCTION unsigned NAME(unsigned mask, unsigned x, int lane, int width = 32) {                                     \
        return (unsigned)NAME(mask, (int)x, lane, width);                                                             \
    }                                                                                                                 \
    FUNCTION float NAME(unsigned mask, float x, int lane, int width = 32) {                                           \
        return __builtin_bit_cast(float, NAME(mask, __builtin_bit_cast(int, x), lane, width));                        \
    }                                                                                                                 \
    FUNCTION double NAME(unsigned mask, double x, int lane, int width = 32) {                                         \
        struct { int low, high; } two = __builtin_bit_cast(decltype(two), x);                                         \
        two.low = NAME(mask, two.low, lane, width), two.high = NAME(mask, two.high, lane, width);                     \
        return __builtin_bit_cast(double, two);                                                                       \
    }
SHUFFLE(__shfl_sync, __nvvm_shfl_sync_idx_i32, 31)
SHUFFLE(__shfl_up_sync, __nvvm_shfl_sync_up_i32, 0)
SHUFFLE(__shfl_down_sync, __nvvm_shfl_sync_down_i32, 31)
SHUFFLE(__shfl_xor_sync, __nvvm_shfl_sync_bfly_i32, 31)

FUNCTION int __reduce_add_sync(unsigned mask, int x) { return __nvvm_redux_sync_add(x, mask); }
FUNCTION int __reduce_min_sync(unsigned mask, int x) { return __nvvm_redux_sync_min(x, mask); }
FUNCTION int __reduce_max_sync(unsigned mask, int x) { return __nvvm_redux_sync_max(x, mask); }
FUNCTION unsigned __reduce_max_sync(unsigned mask, unsigned x) { return __nvvm_redux_sync_umax(x, mask); }
FUNCTION int __reduce_and_sync(unsigned mask, int x) { return __nvvm_redux_sync_and(x, mask); }
FUNCTION int __reduce_or_sync(unsigned mask, int x) { return __nvvm_redux_sync_or(x, mask); }
FUNCTION int __reduce_xor_sync(unsigned mask, int x) { return __nvvm_redux_sync_xor(x, mask); }

FUNCTION unsigned __ballot_sync(unsigned mask, bool x) { return __nvvm_vote_ballot_sync(mask, x); }
FUNCTION int __any_sync(unsigned mask, bool x) { return __nvvm_vote_any_sync(mask, x); }
FUNCTION int __all_sync(unsigned mask, bool x) { return __nvvm_vote_all_sync(mask, x); }
FUNCTION unsigned __match_any_sync(unsigned mask, int x) { return __nvvm_match_any_sync_i32(mask, x); }
FUNCTION unsigned __match_any_sync(unsigned mask, unsigned long long x) { return __nvvm_match_any_sync_i64(mask, x); }
FUNCTION unsigned __match_all_sync(unsigned mask, int x, int *same) { return __nvvm_match_all_sync_i32p(mask, x, same); }

FUNCTION int __syncthreads_count(int x) { return __nvvm_bar0_popc(x); }
FUNCTION int __syncthreads_and(int x) { return __nvvm_bar0_and(x); }
FUNCTION int __syncthreads_or(int x) { return __nvvm_bar0_or(x); }
FUNCTION void __syncwarp() { __nvvm_bar_warp_sync(0xffffffff); }
FUNCTION void __threadfence() { __nvvm_membar_gl(); }
FUNCTION void __threadfence_block() { __nvvm_membar_cta(); }

FUNCTION unsigned atomicAdd(unsigned *p, unsigned x) { return __nvvm_atom_add_gen_i((int *)p, x); }
FUNCTION int atomicAdd(int *p, int x) { return __nvvm_atom_add_gen_i(p, x); }
FUNCTION unsigned long long atomicAdd(unsigned long long *p, unsigned long long x) {
    return __nvvm_atom_add_gen_ll((long long *)p, x);
}
FUNCTION float atomicAdd(float *p, float x) { return __nvvm_atom_add_gen_f(p, x); }
FUNCTION double atomicAdd(double *p, double x) { return __nvvm_atom_add_gen_d(p, x); }
FUNCTION int atomicSub(int *p, int x) { return __nvvm_atom_add_gen_i(p, -x); }
FUNCTION int atomicMin(int *p, int x) { return __nvvm_atom_min_gen_i(p, x); }
FUNCTION int atomicMax(int *p, int x) { return __nvvm_atom_max_gen_i(p, x); }
FUNCTION unsigned atomicMin(unsigned *p, unsigned x) { return __nvvm_atom_min_gen_ui(p, x); }
FUNCTION unsigned atomicMax(unsigned *p, unsigned x) { return __nvvm_atom_max_gen_ui(p, x); }
FUNCTION long long atomicMin(long long *p, long long x) { return __nvvm_atom_min_gen_ll(p, x); }
FUNCTION unsigned long long atomicMax(unsigned long long *p, unsigned long long x) {
    return __nvvm_atom_max_gen_ull(p, x);
}
FUNCTION unsigned atomicAnd(unsigned *p, unsigned x) { return __nvvm_atom_and_gen_i((int *)p, x); }
FUNCTION unsigned atomicOr(unsigned *p, unsigned x) { return __nvvm_atom_or_gen_i((int *)p, x); }
FUNCTION unsigned atomicXor(unsigned *p, unsigned x) { return __nvvm_atom_xor_gen_i((int *)p, x); }
FUNCTION unsigned long long atomicXor(unsigned long long *p, unsigned long long x) {
    return __nvvm_atom_xor_gen_ll((long long *)p, x);
}
FUNCTION unsigned atomicInc(unsigned *p, unsigned x) { return __nvvm_atom_inc_gen_ui(p, x); }
FUNCTION unsigned atomicDec(unsigned *p, unsigned x) { return __nvvm_atom_dec_gen_ui(p, x); }
FUNCTION unsigned atomicExch(unsigned *p, unsigned x) { return __nvvm_atom_xchg_gen_i((int *)p, x); }
FUNCTION unsigned atomicCAS(unsigned *p, unsigned was, unsigned x) {
    return __nvvm_atom_cas_gen_i((int *)p, was, x);
}
FUNCTION unsigned long long atomicCAS(unsigned long long *p, unsigned long long was, unsigned long long x) {
    return __nvvm_atom_cas_gen_ll((long long *)p, was, x);
}
