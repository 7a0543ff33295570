//! The `#[kernel]` attribute of `simt-std`; use it through that crate.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{FnArg, ItemFn, Pat, ReturnType, Signature, parse_macro_input};

/// Makes an `unsafe fn` a kernel.
///
/// In PTX the function becomes an entry of its own name. On the CPU a
/// `static Kernel<(…argument types…)>` of that name takes its place, holding the
/// body compiled once for each instruction set.
///
/// Within the body, `V` is the vector type of the instruction set the body is
/// compiled for; the surrounding module must import `cuda_std::simt::V`, which
/// serves PTX.
///
/// ```ignore
/// #[kernel]
/// pub unsafe fn scale(n: u32, factor: f32, x: *mut f32) { /* … */ }
/// ```
#[proc_macro_attribute]
pub fn kernel(_hints: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    both(&item, &entry(&item))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// [`macro@kernel`] without an entry in PTX, where the function is left as a private one; on the CPU the same.
///
/// A crate whose kernels are also a library chooses between the two by a feature, so that the PTX of those who use
/// its device functions alone does not hold its kernels.
#[proc_macro_attribute]
pub fn cpu_kernel(_hints: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    both(&item, &plain(&item))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Leaves a private function of a kernel, on every device.
#[proc_macro_attribute]
pub fn no_kernel(_hints: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    plain(&item).into()
}

fn entry(item: &ItemFn) -> Tokens {
    let (attrs, vis, body) = (&item.attrs, &item.vis, &item.block.stmts);
    let (name, inputs) = (&item.sig.ident, &item.sig.inputs);
    quote! {
        #(#attrs)*
        #[unsafe(no_mangle)]
        #vis unsafe extern "ptx-kernel" fn #name(#inputs) {
            #(#body)*
        }
    }
}

/// Allowed to be dead, so that what it alone uses is not reported as such.
fn plain(item: &ItemFn) -> Tokens {
    let (attrs, sig, block) = (&item.attrs, &item.sig, &item.block);
    quote! {
        #(#attrs)*
        #[allow(dead_code)]
        #sig #block
    }
}

fn both(item: &ItemFn, in_ptx: &Tokens) -> syn::Result<Tokens> {
    check(&item.sig)?;
    let (names, types) = parameters(&item.sig)?;
    let (attrs, vis) = (&item.attrs, &item.vis);
    let name = &item.sig.ident;
    let body = &item.block.stmts;
    let text = name.to_string();
    Ok(quote! {
        #[cfg(target_arch = "nvptx64")]
        #in_ptx

        #(#attrs)*
        #[cfg(not(target_arch = "nvptx64"))]
        #[allow(non_upper_case_globals)]
        #vis static #name: ::cuda_std::simt::Kernel<(#(#types,)*)> = {
            unsafe fn baseline(arguments: *const ()) {
                #[allow(dead_code)]
                type V = ::cuda_std::simt::vector::Lanes<16>;
                // SAFETY: an entry gets its kernel's tuple of arguments.
                let (#(#names,)*) = unsafe { *arguments.cast::<(#(#types,)*)>() };
                #(#body)*
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2(arguments: *const ()) {
                #[allow(dead_code)]
                type V = ::cuda_std::simt::vector::Avx2;
                // SAFETY: an entry gets its kernel's tuple of arguments.
                let (#(#names,)*) = unsafe { *arguments.cast::<(#(#types,)*)>() };
                #(#body)*
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
            unsafe fn avx512(arguments: *const ()) {
                #[allow(dead_code)]
                type V = ::cuda_std::simt::vector::Avx512;
                // SAFETY: an entry gets its kernel's tuple of arguments.
                let (#(#names,)*) = unsafe { *arguments.cast::<(#(#types,)*)>() };
                #(#body)*
            }
            // SAFETY: each entry reads this kernel's tuple of arguments.
            unsafe {
                ::cuda_std::simt::Kernel::new(#text, &[
                    #[cfg(target_arch = "x86_64")]
                    (::cuda_std::simt::InstructionSet::Avx512, avx512),
                    #[cfg(target_arch = "x86_64")]
                    (::cuda_std::simt::InstructionSet::Avx2, avx2),
                    (::cuda_std::simt::InstructionSet::Baseline, baseline),
                ])
            }
        };
    })
}

fn check(sig: &Signature) -> syn::Result<()> {
    let refuse = |what| Err(syn::Error::new_spanned(sig, what));
    if sig.unsafety.is_none() {
        return refuse("a kernel must be an unsafe fn");
    }
    if !matches!(sig.output, ReturnType::Default) {
        return refuse("a kernel returns nothing");
    }
    if !sig.generics.params.is_empty() {
        return refuse("a kernel cannot be generic: it is one entry in PTX");
    }
    Ok(())
}

fn parameters(sig: &Signature) -> syn::Result<(Vec<Tokens>, Vec<Tokens>)> {
    let one = |argument: &FnArg| match argument {
        FnArg::Typed(typed) if matches!(*typed.pat, Pat::Ident(_)) => {
            let (pattern, ty) = (&typed.pat, &typed.ty);
            Ok((quote!(#pattern), quote!(#ty)))
        }
        other => Err(syn::Error::new_spanned(
            other,
            "a kernel's parameter is `name: Type`",
        )),
    };
    Ok(sig
        .inputs
        .iter()
        .map(one)
        .collect::<syn::Result<Vec<_>>>()?
        .into_iter()
        .unzip())
}
