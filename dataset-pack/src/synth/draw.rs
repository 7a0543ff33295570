//! Draws one image: a shape, a texture and a colour say the class; place, size, angle, lighting,
//! background and noise vary.

use std::f32::consts::TAU;

use image::{Rgb, RgbImage};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

const SHAPES: [&str; 6] = ["disc", "square", "triangle", "ring", "cross", "diamond"];
const TEXTURES: [&str; 4] = ["plain", "striped", "checked", "dotted"];

/// Draws image `number` of a class. The same seed draws the same.
pub(super) fn draw(class: u32, number: u32, seed: u64) -> RgbImage {
    // Class and number in separate halves of the stream number: no two images share one.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(class) << 32 | u64::from(number));
    scene(&Kind::of(class), &mut rng)
}

/// What a class looks like, in words.
pub(super) fn words(class: u32) -> [&'static str; 2] {
    let kind = Kind::of(class);
    [SHAPES[kind.shape], TEXTURES[kind.texture]]
}

/// What all images of a class have in common.
struct Kind {
    shape: usize,
    texture: usize,
    hue: f32,
}

impl Kind {
    fn of(class: u32) -> Kind {
        let class = class as usize;
        // Steps of the golden ratio keep the hues of any number of classes apart.
        let hue = (class as f32 * 0.618_034).fract();
        Kind {
            shape: class % SHAPES.len(),
            texture: class / SHAPES.len() % TEXTURES.len(),
            hue,
        }
    }
}

/// How one image shows its class.
struct Scene {
    centre: [f32; 2],
    radius: f32,
    angle: f32,
    colours: [[f32; 3]; 2],
    background: [[f32; 3]; 2],
}

impl Scene {
    fn random(kind: &Kind, width: u32, height: u32, rng: &mut ChaCha8Rng) -> Scene {
        let shorter = width.min(height) as f32;
        let radius = shorter * rng.random_range(0.22..0.4);
        let mut centre = |side: u32| side as f32 / 2.0 + shorter * rng.random_range(-0.1..0.1);
        let centre = [centre(width), centre(height)];
        let angle = rng.random_range(0.0..TAU);
        let hue = kind.hue + rng.random_range(-0.03..0.03);
        let light = rng.random_range(0.65..1.0);
        let mut wall = || rgb(rng.random_range(0.0..1.0), 0.3, rng.random_range(0.3..0.8));
        let background = [wall(), wall()];
        let colours = [rgb(hue, 0.8, light), rgb(hue, 0.5, light * 0.45)];
        Scene {
            centre,
            radius,
            angle,
            colours,
            background,
        }
    }

    /// The colour at a point, before noise.
    fn at(&self, kind: &Kind, x: f32, y: f32, height: f32) -> [f32; 3] {
        let (dx, dy) = (
            (x - self.centre[0]) / self.radius,
            (y - self.centre[1]) / self.radius,
        );
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
        if inside(kind.shape, u, v) {
            return self.colours[usize::from(dark(kind.texture, u, v))];
        }
        let [top, bottom] = self.background;
        std::array::from_fn(|c| top[c] + (bottom[c] - top[c]) * y / height)
    }
}

fn inside(shape: usize, u: f32, v: f32) -> bool {
    let (across, rho) = (u.abs().max(v.abs()), u * u + v * v);
    match shape {
        0 => rho < 1.0,
        1 => across < 0.85,
        2 => v < 0.6 && v > 1.7 * u.abs() - 1.1,
        3 => rho < 1.0 && rho > 0.3,
        4 => across < 1.0 && u.abs().min(v.abs()) < 0.3,
        _ => u.abs() + 0.6 * v.abs() < 0.8,
    }
}

fn dark(texture: usize, u: f32, v: f32) -> bool {
    let wave = |x: f32| (x * 12.0).sin();
    match texture {
        0 => false,
        1 => wave(u) > 0.0,
        2 => wave(u) * wave(v) > 0.0,
        _ => wave(u) * wave(v) > 0.5,
    }
}

fn scene(kind: &Kind, rng: &mut ChaCha8Rng) -> RgbImage {
    let (width, height) = (rng.random_range(200..=360), rng.random_range(200..=360));
    let scene = Scene::random(kind, width, height, rng);
    RgbImage::from_fn(width, height, |x, y| {
        let colour = scene.at(kind, x as f32, y as f32, height as f32);
        Rgb(colour.map(|c| (c * 255.0 + rng.random_range(-20.0..20.0)).clamp(0.0, 255.0) as u8))
    })
}

/// Colour of a hue (1 is once around), saturation and brightness.
fn rgb(hue: f32, saturation: f32, value: f32) -> [f32; 3] {
    [0.0, 2.0, 4.0].map(|shift| {
        let distance = ((hue.rem_euclid(1.0) * 6.0 - shift + 3.0).rem_euclid(6.0) - 3.0).abs();
        let share = (2.0 - distance).clamp(0.0, 1.0);
        value * (1.0 - saturation * (1.0 - share))
    })
}
