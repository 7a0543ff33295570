//! Pixels against those of Pillow and OpenCV, made by reference/make.py.

use std::path::{Path, PathBuf};

use dataset_pack::{Resize, load_image};

const SIZE: usize = 64;
const IMAGES: usize = 27;

fn reference(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference")
        .join(folder)
}

/// Largest and mean difference of two lists of levels.
fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let mean = differences.clone().map(f64::from).sum::<f64>() / a.len() as f64;
    (differences.max().unwrap_or(0), mean)
}

/// Compares every image with its expected pixels. Levels are at most `exact` off, since both decoders
/// of JPEG give the pixels of Pillow's, but for CMYK, which a third one decodes.
fn compare(folder: &str, rule: Resize, exact: u8) {
    let (mut table, mut good) = (String::new(), true);
    for entry in std::fs::read_dir(reference("images")).expect("the images are there") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .expect("an ASCII name");
        let expected = image::open(reference(folder).join(format!("{name}.png")));
        let expected = expected.expect("there is an expected image").into_rgb8();
        let pixels = load_image(&path, SIZE, rule).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (most, mean) = difference(&pixels, expected.as_raw());
        let enough = match name {
            "cmyk.jpg" | "ycck.jpg" => 4,
            _ => exact,
        };
        good &= most <= enough && mean <= 0.1;
        table.push_str(&format!("{name}: at most {most}, mean {mean:.3}\n"));
    }
    assert_eq!(table.lines().count(), IMAGES);
    assert!(good, "{folder}:\n{table}");
}

#[test]
fn bilinear_pixels_are_those_of_pillow() {
    compare("expected", Resize::Bilinear, 0);
}

#[test]
fn pixels_of_2012_are_those_of_opencv() {
    compare("expected-2012", Resize::Area2012, 1);
}
