//! The two resize rules.

mod bilinear;
mod rule_2012;

use serde::{Deserialize, Serialize};

use crate::pixels::geometry;

/// How an image is brought to the set's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Resize {
    /// Antialiased bilinear, as Pillow and torchvision do.
    #[default]
    #[serde(rename = "bilinear")]
    Bilinear,
    /// Area averaging when shrinking, cubic (a = −0.75) when enlarging, as in 2012.
    #[serde(rename = "2012")]
    #[value(name = "2012")]
    Area2012,
}

impl Resize {
    /// The number that stands for the rule in a shard's header.
    pub(crate) fn id(self) -> u32 {
        match self {
            Resize::Bilinear => 0,
            Resize::Area2012 => 1,
        }
    }

    /// The rule's name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Resize::Bilinear => "bilinear",
            Resize::Area2012 => "2012",
        }
    }
}

/// Resizes and crops RGB images; keeps its buffers between images.
#[derive(Default)]
pub(crate) struct Scaler {
    /// The rows that matter, already at their final width.
    narrowed: Vec<u8>,
}

impl Scaler {
    /// Writes the centre crop of `rgb` (`width`×`height`) to `out` (`size`×`size`).
    ///
    /// # Panics
    /// If the buffers' lengths contradict the sizes, or one of these is zero.
    pub(crate) fn scale(
        &mut self,
        rgb: &[u8],
        (width, height): (u32, u32),
        out: &mut [u8],
        size: usize,
        rule: Resize,
    ) {
        assert_eq!(rgb.len(), width as usize * height as usize * 3);
        assert_eq!(out.len(), size * size * 3);
        let sides = geometry::sides(width, height, size);
        match rule {
            Resize::Bilinear => bilinear::scale(rgb, sides, &mut self.narrowed, out),
            Resize::Area2012 => rule_2012::scale(rgb, sides, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_the_right_size_is_left_as_it_is() {
        let rgb: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 37) as u8).collect();
        for rule in [Resize::Bilinear, Resize::Area2012] {
            let mut out = vec![0; rgb.len()];
            Scaler::default().scale(&rgb, (8, 8), &mut out, 8, rule);
            assert_eq!(out, rgb);
        }
    }
}
