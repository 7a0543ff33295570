//! From the network as written to its shapes.

use anyhow::{Context, Result, bail, ensure};

use super::{Dims, GRANULE, Layer, Net, Op, ParameterSpec};
use crate::net::spec::{
    Convolution, FullyConnected, Init, Input, Kind, MaxPool, Reads, Rounding, Spec, Units,
};

impl Spec {
    /// Builds the shapes for `classes` classes with every hidden layer `width` times as wide.
    ///
    /// Each tower's share of a hidden layer is rounded to the nearest multiple of [`GRANULE`], at least one; at width
    /// 1 it must be one. The classes are split as evenly as they go, the first towers taking one more.
    pub fn resolve(&self, width: f64, classes: usize) -> Result<Net> {
        ensure!(
            width > 0.0 && width.is_finite(),
            "width must be positive, found {width}"
        );
        ensure!(
            classes >= self.towers,
            "{classes} classes cannot be split over {} towers",
            self.towers
        );
        self.check_order()
            .with_context(|| format!("net {}", self.name))?;
        let towers =
            (0..self.towers).map(|tower| Builder::new(self, width, classes, tower).layers());
        let towers = towers
            .collect::<Result<Vec<_>>>()
            .with_context(|| format!("net {}", self.name))?;
        Ok(Net {
            name: self.name.clone(),
            input: self.input,
            classes,
            towers,
        })
    }

    fn check_order(&self) -> Result<()> {
        let outputs =
            |kind: &Kind| matches!(kind, Kind::FullyConnected(f) if f.units == Units::Classes);
        match self.layers.as_slice() {
            [hidden @ .., last, softmax]
                if softmax.kind == Kind::Softmax && outputs(&last.kind) =>
            {
                match hidden
                    .iter()
                    .find(|layer| layer.kind == Kind::Softmax || outputs(&layer.kind))
                {
                    Some(layer) => bail!(
                        "layer {}: only the end of the network can be this",
                        layer.name
                    ),
                    None => Ok(()),
                }
            }
            _ => bail!(
                "the last two layers must be a fully-connected one with units = \"classes\" and a softmax"
            ),
        }
    }
}

/// Walks the layers of one tower.
struct Builder<'a> {
    spec: &'a Spec,
    width: f64,
    classes: usize,
    tower: usize,
    /// What the tower has so far.
    shape: Dims,
    /// What all towers have so far.
    all_channels: usize,
    /// Whether maps are split over the towers yet: the image is not.
    split: bool,
}

impl<'a> Builder<'a> {
    fn new(spec: &'a Spec, width: f64, classes: usize, tower: usize) -> Self {
        let Input { crop, channels, .. } = spec.input;
        let shape = Dims {
            channels,
            height: crop,
            width: crop,
        };
        Self {
            spec,
            width,
            classes,
            tower,
            shape,
            all_channels: channels,
            split: false,
        }
    }

    fn layers(mut self) -> Result<Vec<Layer>> {
        let spec = self.spec;
        let layers = spec.layers.iter();
        layers
            .map(|l| {
                self.layer(&l.name, &l.kind)
                    .with_context(|| format!("layer {}", l.name))
            })
            .collect()
    }

    fn layer(&mut self, name: &str, kind: &Kind) -> Result<Layer> {
        let both = match kind {
            Kind::Convolution(c) => c.reads == Reads::Both,
            Kind::FullyConnected(f) => f.reads == Reads::Both,
            Kind::Softmax => true,
            _ => false,
        };
        let exchanges = both && self.split && self.spec.towers > 1;
        let channels = if exchanges {
            self.all_channels
        } else {
            self.shape.channels
        };
        let input = Dims {
            channels,
            ..self.shape
        };
        let (output, op) = match kind {
            Kind::Convolution(c) => self.convolution(c, input)?,
            Kind::FullyConnected(f) => self.fully_connected(f, input)?,
            Kind::MaxPool(p) => pool(p, input)?,
            Kind::Lrn(lrn) => (input, Op::Lrn(*lrn)),
            Kind::Relu => (input, Op::Relu),
            Kind::Tanh => (input, Op::Tanh),
            Kind::Dropout(d) => (input, Op::Dropout { p: d.p }),
            Kind::Softmax => (input, Op::Softmax),
        };
        self.shape = output;
        Ok(Layer {
            name: name.to_string(),
            input,
            output,
            exchanges,
            op,
        })
    }

    fn convolution(&mut self, c: &Convolution, input: Dims) -> Result<(Dims, Op)> {
        let windows = |side| positions(side, c.kernel, c.stride, c.pad, c.rounding);
        let (height, width) = (windows(input.height)?, windows(input.width)?);
        let inputs = input.channels * c.kernel * c.kernel;
        let outputs = self.share(c.maps, "maps")?;
        let init = self.scaled(c.init);
        let first_output = self.tower * outputs;
        let parameters = ParameterSpec {
            inputs,
            outputs,
            first_output,
            init,
            rates: c.rates,
            decay: c.decay,
        };
        self.grow(outputs * self.spec.towers);
        let op = Op::Convolution {
            kernel: c.kernel,
            stride: c.stride,
            pad: c.pad,
            parameters,
        };
        Ok((
            Dims {
                channels: outputs,
                height,
                width,
            },
            op,
        ))
    }

    fn fully_connected(&mut self, f: &FullyConnected, input: Dims) -> Result<(Dims, Op)> {
        let towers = self.spec.towers;
        let (outputs, first_output, all) = match f.units {
            Units::Count(units) => {
                let outputs = self.share(units, "units")?;
                (outputs, self.tower * outputs, outputs * towers)
            }
            Units::Classes => {
                let begin = |tower: usize| {
                    tower * (self.classes / towers) + tower.min(self.classes % towers)
                };
                (
                    begin(self.tower + 1) - begin(self.tower),
                    begin(self.tower),
                    self.classes,
                )
            }
        };
        let init = self.scaled(f.init);
        let parameters = ParameterSpec {
            inputs: input.len(),
            outputs,
            first_output,
            init,
            rates: f.rates,
            decay: f.decay,
        };
        self.grow(all);
        Ok((
            Dims {
                channels: outputs,
                height: 1,
                width: 1,
            },
            Op::FullyConnected { parameters },
        ))
    }

    fn grow(&mut self, all_channels: usize) {
        self.all_channels = all_channels;
        self.split = true;
    }

    /// This tower's share of a hidden layer.
    fn share(&self, total: usize, what: &str) -> Result<usize> {
        let towers = self.spec.towers;
        if self.width == 1.0 {
            let even = total.is_multiple_of(towers * GRANULE);
            ensure!(
                even,
                "{total} {what} over {towers} tower(s): each tower must have a multiple of {GRANULE}"
            );
            return Ok(total / towers);
        }
        ensure!(
            total.is_multiple_of(towers),
            "{total} {what} cannot be split over {towers} towers"
        );
        let granules = (total / towers) as f64 * self.width / GRANULE as f64;
        Ok((granules.round() as usize).max(1) * GRANULE)
    }

    fn scaled(&self, init: Init) -> Init {
        let scale = if init.scale_with_width && self.split {
            self.width.sqrt().recip()
        } else {
            1.0
        };
        Init {
            sigma: init.sigma * scale,
            ..init
        }
    }
}

fn pool(p: &MaxPool, input: Dims) -> Result<(Dims, Op)> {
    let windows = |side| positions(side, p.kernel, p.stride, p.pad, p.rounding);
    let output = Dims {
        height: windows(input.height)?,
        width: windows(input.width)?,
        ..input
    };
    Ok((
        output,
        Op::MaxPool {
            kernel: p.kernel,
            stride: p.stride,
            pad: p.pad,
        },
    ))
}

/// How many windows fit along a side. The last one counts under `Ceil` as long as it begins inside the image.
pub(super) fn positions(
    side: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    rounding: Rounding,
) -> Result<usize> {
    ensure!(
        kernel <= side + 2 * pad,
        "kernel {kernel} is larger than its input, {side} (pad {pad})"
    );
    let room = side + 2 * pad - kernel;
    Ok(match rounding {
        Rounding::Floor => room / stride + 1,
        Rounding::Ceil => (room.div_ceil(stride)).min((side + pad - 1) / stride) + 1,
    })
}
