//! Pixels against those of Pillow and OpenCV, made by reference/make.py.

use std::path::{Path, PathBuf};

use dataset_pack::{JPEG_DECODER, Resize, load_image};

const SIZE: usize = 64;
const IMAGES: usize = 26;

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

/// libjpeg-turbo is what Pillow decodes with. zune-jpeg takes for the chroma of the last column of
/// an even width what lies beyond the image in its last block; enlarged, that is seen in more columns.
fn within_bounds(name: &str, exact: u8, pixels: &[u8], expected: &[u8]) -> bool {
    let (enough, edge) = match (JPEG_DECODER, name) {
        ("turbojpeg", "cmyk.jpg" | "ycck.jpg") => (4, 4),
        ("turbojpeg", _) => (exact, exact),
        (_, "enlarged-420.jpg" | "enlarged-422.jpg" | "edge-420.jpg") => (4, 14),
        _ => (4, 4),
    };
    let columns = |from: usize, to: usize, pixels: &[u8]| -> Vec<u8> {
        let row = |row: &[u8]| row[from * 3..to * 3].to_vec();
        pixels.chunks(SIZE * 3).flat_map(row).collect()
    };
    let most = |from, to| difference(&columns(from, to, pixels), &columns(from, to, expected)).0;
    most(0, SIZE - 4) <= enough && most(SIZE - 4, SIZE) <= edge
}

/// Compares every image with its expected pixels. Where the source is lossless, or the decoder is
/// Pillow's, levels are at most `exact` off. Decoders of JPEG differ by up to 4 levels, and all
/// images together by 0.2 in the mean.
fn compare(folder: &str, rule: Resize, exact: u8) {
    let (mut table, mut means, mut good) = (String::new(), 0.0, true);
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
        let lossless = path.extension().is_none_or(|e| e != "jpg") || name.starts_with("png");
        good &= if lossless {
            most <= exact && mean <= 0.1
        } else {
            within_bounds(name, exact, &pixels, expected.as_raw())
        };
        means += mean;
        table.push_str(&format!("{name}: at most {most}, mean {mean:.3}\n"));
    }
    assert_eq!(table.lines().count(), IMAGES);
    let mean = means / IMAGES as f64;
    println!("{folder}: mean {mean:.3}\n{table}");
    assert!(good && mean <= 0.2, "{table}");
}

#[test]
fn bilinear_pixels_are_those_of_pillow() {
    compare("expected", Resize::Bilinear, 0);
}

#[test]
fn pixels_of_2012_are_those_of_opencv() {
    compare("expected-2012", Resize::Area2012, 1);
}
