//! `host check-gradients`

use anyhow::{Result, ensure};
use serde_json::json;

use crate::cli::CheckGradients;
use crate::data::random::{Purpose, words};
use crate::net::context::Mode;
use crate::net::{IMAGES, Network, Parameters};

const CLASSES: usize = 10;
/// The loss is a float: smaller differences drown in its rounding.
const TOLERANCE: f64 = 0.05;

/// How much the loss is to change on either side, one after the other until the check holds: ReLU and pooling bend
/// the way, the less the shorter it is, but a short one drowns in rounding.
const CHANGES: [f64; 3] = [1e-3, 2.5e-4, 6e-5];

/// What one tensor's check gave.
struct Checked {
    name: String,
    gradient: f64,
    difference: f64,
}

/// Moves each tensor a small way along its own gradient g and compares the
/// change of the loss with what g promises: (L(w + h·g) − L(w − h·g)) / 2h = |g|².
/// A direction in which all elements take part rises well above rounding.
pub fn run(options: &CheckGradients) -> Result<()> {
    let spec = options.network.load(&["dropout.p=0".to_owned()])?;
    let net = spec.resolve(options.network.width(), CLASSES)?;
    let devices = options.places.open(net.towers.len())?;
    let mut network = Network::new(&net, &devices, IMAGES, options.seed)?;
    network.initialise();
    let (image, labels) = input(&network, options.seed);
    network.load_floats(&image, &labels);
    let mode = Mode::Train { step: 0 };
    network.forward(mode);
    network.backward(mode);
    network.synchronize()?;
    let mut checked = Vec::new();
    for index in 0..network.parameters().count() {
        for kind in ["weight", "bias"] {
            checked.push(check(&network, index, kind)?);
        }
    }
    show(&checked, options.json)?;
    let wrong: Vec<&str> = checked
        .iter()
        .filter(|c| !c.holds())
        .map(|c| c.name.as_str())
        .collect();
    ensure!(
        wrong.is_empty(),
        "the gradients of {} do not hold",
        wrong.join(", ")
    );
    Ok(())
}

impl Checked {
    fn error(&self) -> f64 {
        let scale = self.gradient.abs().max(self.difference.abs());
        if scale == 0.0 {
            0.0
        } else {
            (self.gradient - self.difference).abs() / scale
        }
    }

    fn holds(&self) -> bool {
        self.error() <= TOLERANCE
    }
}

fn show(checked: &[Checked], as_json: bool) -> Result<()> {
    if as_json {
        let line = |c: &Checked| {
            json!({"tensor": c.name, "gradient": c.gradient, "difference": c.difference,
                   "error": c.error(), "holds": c.holds()})
        };
        let result = json!(checked.iter().map(line).collect::<Vec<_>>());
        return Ok(console::print_json(&result.to_string())?);
    }
    for c in checked {
        console::result!(
            "{:24} |g|² {:.4e}  by differences {:.4e}  off by {:.2} %{}",
            c.name,
            c.gradient,
            c.difference,
            100.0 * c.error(),
            if c.holds() { "" } else { "  WRONG" }
        )?;
    }
    Ok(())
}

fn check(network: &Network, index: usize, kind: &str) -> Result<Checked> {
    let Some((tower, weights, stream)) = network.parameters().nth(index) else {
        anyhow::bail!("no tensor {index}")
    };
    let tensor = pick(weights, kind);
    let (value, gradient) = (
        stream.download(&tensor.value)?,
        stream.download(&tensor.gradient)?,
    );
    let square: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
    let loss_at = |h: f64| -> Result<f64> {
        let moved: Vec<f32> = value
            .iter()
            .zip(&gradient)
            .map(|(&w, &g)| (f64::from(w) + h * f64::from(g)) as f32)
            .collect();
        stream.upload(&moved, &tensor.value);
        network.forward(Mode::Train { step: 0 });
        let loss = network.outcome()?.loss;
        Ok(loss.iter().map(|&l| f64::from(l)).sum::<f64>() / loss.len() as f64)
    };
    let mut checked = Checked {
        name: format!("tower{tower}.{}.{kind}", weights.name),
        gradient: square,
        difference: 0.0,
    };
    for step in CHANGES.map(|change| change / square) {
        if !checked.holds() {
            checked.difference = (loss_at(step)? - loss_at(-step)?) / (2.0 * step);
        }
    }
    stream.upload(&value, &tensor.value);
    Ok(checked)
}

fn pick<'a>(weights: &'a Parameters, kind: &str) -> &'a crate::net::parameters::Tensor {
    if kind == "weight" {
        &weights.weights
    } else {
        &weights.biases
    }
}

/// Smooth made-up images, `[colour][row][column][image]`, and their labels.
fn input(network: &Network, seed: u64) -> (Vec<f32>, Vec<u32>) {
    let side = network.net().input.crop;
    let [a, b, ..] = words(seed, Purpose::View, 0, 0);
    let (p, q) = (1.0 + (a % 7) as f32, 1.0 + (b % 7) as f32);
    let pixel = |i: usize| {
        let (n, place) = (i % IMAGES, i / IMAGES);
        let (c, y, x) = (place / (side * side), place / side % side, place % side);
        let wave = (x as f32 * (n as f32 + p) + y as f32 * q * (c as f32 + 1.0)) * 0.02;
        60.0 * wave.sin() + n as f32
    };
    let image = (0..3 * side * side * IMAGES).map(pixel).collect();
    (image, (0..IMAGES).map(|n| (n % CLASSES) as u32).collect())
}
