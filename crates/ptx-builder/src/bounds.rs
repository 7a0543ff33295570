//! Launch bounds: comments in the PTX become directives.

use std::collections::BTreeMap;

use ptx_reader::Module;

use crate::Error;

const MARK: &str = "//@launch_bounds";

#[derive(Clone, Copy, PartialEq, Eq)]
struct Bounds {
    threads: u32,
    min_blocks: Option<u32>,
}

/// Puts `.maxntid` and `.minnctapersm` on every kernel for which a comment
/// `//@launch_bounds NAME THREADS [MINBLOCKS]` asks.
pub fn apply(ptx: &str) -> Result<String, Error> {
    let mut wanted = BTreeMap::new();
    for comment in ptx
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with(MARK))
    {
        let (name, bounds) = parse(comment).map_err(|reason| error(comment, &reason))?;
        if wanted
            .insert(name, (bounds, comment))
            .is_some_and(|(other, _)| other != bounds)
        {
            return Err(error(comment, "the same kernel has other bounds elsewhere"));
        }
    }
    if wanted.is_empty() {
        return Ok(ptx.to_owned());
    }
    let module = Module::parse(ptx)?;
    let (mut out, mut copied) = (String::with_capacity(ptx.len()), 0);
    for entry in module.entries() {
        let Some((bounds, _)) = wanted.remove(entry.name.as_str()) else {
            continue;
        };
        if let Some(body) = &entry.body {
            out.push_str(&ptx[copied..body.start]);
            write_directives(&mut out, bounds);
            copied = body.start;
        }
    }
    out.push_str(&ptx[copied..]);
    match wanted.into_values().next() {
        Some((_, comment)) => Err(error(comment, "there is no such kernel")),
        None => Ok(out),
    }
}

fn write_directives(out: &mut String, bounds: Bounds) {
    out.push_str(&format!(".maxntid {}, 1, 1\n", bounds.threads));
    if let Some(blocks) = bounds.min_blocks {
        out.push_str(&format!(".minnctapersm {blocks}\n"));
    }
}

fn parse(comment: &str) -> Result<(&str, Bounds), String> {
    let mut words = comment[MARK.len()..].split_whitespace();
    let name = words.next().ok_or("no kernel is named")?;
    let threads = number(words.next(), "threads", 1024)?;
    let min_blocks = match words.next() {
        None => None,
        word => Some(number(word, "blocks", 32)?),
    };
    if words.next().is_some() {
        return Err("expected NAME THREADS [MINBLOCKS]".into());
    }
    Ok((
        name,
        Bounds {
            threads,
            min_blocks,
        },
    ))
}

fn number(word: Option<&str>, what: &str, most: u32) -> Result<u32, String> {
    word.and_then(|word| word.parse().ok())
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| format!("the number of {what} must be from 1 to {most}"))
}

fn error(comment: &str, reason: &str) -> Error {
    Error::LaunchBounds {
        comment: comment.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODIES: &str = "\
.version 7.0\n.target sm_80\n.visible .entry gemm(\n\t.param .u64 gemm_param_0\n)\n{\n\tret;\n}\n\
.visible .entry gemm_wide(\n\t.param .u64 gemm_wide_param_0\n)\n{\n\tret;\n}\n\
.visible .entry empty()\n{\n\tret;\n}\n";

    #[test]
    fn bounds_land_on_their_kernel_alone() {
        let ptx = format!("\t//@launch_bounds gemm 256 2\n//@launch_bounds empty 64\n{BODIES}");
        let out = apply(&ptx).unwrap();
        assert!(
            out.contains("gemm_param_0\n)\n.maxntid 256, 1, 1\n.minnctapersm 2\n{"),
            "{out}"
        );
        assert!(out.contains("empty()\n.maxntid 64, 1, 1\n{"), "{out}");
        assert!(out.contains("gemm_wide_param_0\n)\n{"), "{out}");
        assert_eq!(out.matches(".maxntid").count(), 2);
        assert_eq!(out.matches(".minnctapersm").count(), 1);
    }

    #[test]
    fn ptx_without_comments_stays_as_it_is() {
        assert_eq!(apply(BODIES).unwrap(), BODIES);
    }

    #[test]
    fn the_same_bounds_twice_are_fine() {
        let ptx = format!("//@launch_bounds gemm 64 1\n//@launch_bounds gemm 64 1\n{BODIES}");
        assert!(apply(&ptx).is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        for (comments, cause) in [
            ("//@launch_bounds gem 256 2", "no such kernel"),
            ("//@launch_bounds", "no kernel is named"),
            ("//@launch_bounds gemm", "threads"),
            ("//@launch_bounds gemm 2048 1", "1024"),
            ("//@launch_bounds gemm 256 0", "blocks"),
            ("//@launch_bounds gemm 256 1 1", "expected NAME"),
            (
                "//@launch_bounds gemm 64 1\n//@launch_bounds gemm 64 2",
                "other bounds",
            ),
        ] {
            let message = apply(&format!("{comments}\n{BODIES}"))
                .unwrap_err()
                .to_string();
            assert!(message.contains(cause), "{comments}: {message}");
        }
    }
}
