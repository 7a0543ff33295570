fn cpu() -> f64 { std::fs::read_dir("/proc/self/task").unwrap().filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("schedstat")).ok()).map(|s| s.split(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>() / 1e9 }
use gpu_kernels::convolution::*;

use simt_executor::*;
fn main() {
    let pool = Pool::new(2).unwrap();
    let n = 128u32;
    for (name, c, h, m, k, st, pad, o) in [("conv1",3u32,224u32,48u32,11u32,4u32,0u32,55u32),("conv2",48,27,128,5,1,2,27),("conv3",256,13,192,3,1,1,13),("conv4",192,13,192,3,1,1,13)] {
        let s = Shape::new(Sizes{images:n,channels:c,input:[h,h],filters:m,kernel:k,stride:st,pad,output:[o,o]});
        #[repr(align(64))] #[derive(Clone,Copy)] struct L([f32;16]);
        let buf = |len: usize| { let mut v = vec![L([0.5;16]); len.div_ceil(16)]; for (i,x) in v.iter_mut().enumerate(){ x.0[0]=i as f32 % 3.0;} v };
        let x = buf((c*h*h*n) as usize); let w = buf(((c*k*k)*m) as usize); let b = buf(m as usize);
        let mut y = buf((m*(m*0+o*o*n)) as usize);
        let chunk = 8192u32; let parts = (m*0+o*o*n).div_ceil(chunk);
        let mut g = buf((parts*(c*k*k)*m) as usize);
        let flops = 2.0 * (c*k*k) as f64 * m as f64 * (m*0+o*o*n) as f64;
        let f = s.forward(gpu_kernels::target::Target::Cpu);
        let gl = s.weight_gradient(gpu_kernels::target::Target::Cpu); let di = s.input_gradient(gpu_kernels::target::Target::Cpu); let mut dx = buf((c*h*h*n) as usize);
        for _ in 0..3 {
            let t = cpu();
            unsafe { pool.run(&convolution_forward, f, (s, x.as_ptr().cast(), w.as_ptr().cast(), b.as_ptr().cast(), y.as_mut_ptr().cast())).unwrap(); }
            let tf = (cpu()-t);
            let t = cpu();
            unsafe { pool.run(&convolution_weight_gradient, gl, (s, x.as_ptr().cast(), y.as_ptr().cast(), g.as_mut_ptr().cast())).unwrap(); }
            let tg = (cpu()-t);
            let t = cpu();
            unsafe { pool.run(&convolution_input_gradient, di, (s, w.as_ptr().cast(), y.as_ptr().cast(), dx.as_mut_ptr().cast())).unwrap(); }
            let td = cpu()-t;
            println!("{name} forward {:.1} GFLOP/s  wgrad {:.1} dgrad {:.1}", flops/tf/1e9, flops/tg/1e9, flops/td/1e9);
        }
    }
}
