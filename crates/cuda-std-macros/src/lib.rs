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
    expand(item)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

fn expand(item: ItemFn) -> syn::Result<Tokens> {
    check(&item.sig)?;
    let (names, types) = parameters(&item.sig)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = &item;
    let name = &sig.ident;
    let body = &block.stmts;
    let text = name.to_string();
    Ok(quote! {
        #(#attrs)*
        #[cfg(target_arch = "nvptx64")]
        #[unsafe(no_mangle)]
        #vis unsafe extern "ptx-kernel" fn #name(#(#names: #types),*) {
            #(#body)*
        }

        #(#attrs)*
        #[cfg(not(target_arch = "nvptx64"))]
        #[allow(non_upper_case_globals)]
        #vis static #name: ::cuda_std::simt::Kernel<(#(#types,)*)> = {
            unsafe fn baseline(arguments: *const ()) {
                #[allow(dead_code)]
                type V = ::cuda_std::simt::vector::Lanes<16>;
                let (#(#names,)*) = unsafe { *arguments.cast::<(#(#types,)*)>() };
                #(#body)*
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2(arguments: *const ()) {
                #[allow(dead_code)]
                type V = ::cuda_std::simt::vector::Avx2;
                let (#(#names,)*) = unsafe { *arguments.cast::<(#(#types,)*)>() };
                #(#body)*
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
            unsafe fn avx512(arguments: *const ()) {
                #[allow(dead_code)]
                type V = ::cuda_std::simt::vector::Avx512;
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
