//! Names of GPU architectures.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// A GPU architecture, written `sm_80`; `sm_90a` and `sm_100f` are the specific and
/// family-specific forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arch {
    /// The compute capability's major number.
    pub major: u32,
    /// The compute capability's minor number.
    pub minor: u32,
    /// `a` (this architecture only), `f` (its family only) or none (this and all later ones).
    pub suffix: Option<char>,
}

impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        parse(name).ok_or_else(|| Error::BadArch {
            name: name.to_owned(),
        })
    }
}

fn parse(name: &str) -> Option<Arch> {
    let number = name.strip_prefix("sm_")?;
    let suffix = number
        .chars()
        .next_back()
        .filter(|last| matches!(last, 'a' | 'f'));
    let digits = number.strip_suffix(['a', 'f']).unwrap_or(number);
    if !(2..=3).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    Some(Arch {
        major: number / 10,
        minor: number % 10,
        suffix,
    })
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}{}", self.major, self.minor)?;
        self.suffix.map_or(Ok(()), |suffix| write!(f, "{suffix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (name, major, minor, suffix) in [
            ("sm_80", 8, 0, None),
            ("sm_90a", 9, 0, Some('a')),
            ("sm_100", 10, 0, None),
            ("sm_121f", 12, 1, Some('f')),
        ] {
            let arch: Arch = name.parse().unwrap();
            assert_eq!(
                arch,
                Arch {
                    major,
                    minor,
                    suffix
                }
            );
            assert_eq!(arch.to_string(), name);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "80",
            "sm_",
            "sm_8",
            "sm_80b",
            "sm_aa",
            "sm_8000",
            "compute_80",
            "sm_+80",
        ] {
            assert!(name.parse::<Arch>().is_err(), "{name}");
        }
    }
}
