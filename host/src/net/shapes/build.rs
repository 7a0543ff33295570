//! From the network as written to its shapes.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

use super::{Dims, GRANULE, Layer, Net};
use crate::net::layer::Kind;
use crate::net::layer::fully_connected::Units;
use crate::net::spec::{Init, Input, LayerSpec, MOST, Reads, Rounding, Spec};

/// Most numbers that a layer gives of an image.
const MOST_NUMBERS: usize = 1 << 32;
/// Most weights of a layer of a tower.
const MOST_WEIGHTS: usize = 1 << 40;

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
        ensure!(
            classes <= MOST as usize,
            "{classes} classes are more than {MOST}"
        );
        self.check_order()
            .with_context(|| format!("net {}", self.name))?;
        let towers =
            (0..self.towers).map(|tower| Shaping::new(self, width, classes, tower).layers());
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
                if softmax.kind.keys().is_loss() && outputs(&last.kind) =>
            {
                match hidden
                    .iter()
                    .find(|layer| layer.kind.keys().is_loss() || outputs(&layer.kind))
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
pub struct Shaping<'a> {
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
    /// Initial values of the layer it is at.
    init: Init,
}

impl<'a> Shaping<'a> {
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
            init: Init::default(),
        }
    }

    fn layers(mut self) -> Result<Vec<Layer>> {
        let spec = self.spec;
        let layers = spec.layers.iter();
        layers
            .map(|l| self.layer(l).with_context(|| format!("layer {}", l.name)))
            .collect()
    }

    fn layer(&mut self, layer: &LayerSpec) -> Result<Layer> {
        let LayerSpec {
            name,
            kind,
            learning,
        } = layer;
        self.init = learning.init;
        let both = kind.keys().reads() == Reads::Both;
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
        let (output, parameters) = kind.keys().shape(input, self)?;
        let weights = parameters.map(|p| p.inputs.checked_mul(p.outputs));
        ensure!(
            output.len() <= MOST_NUMBERS
                && weights.is_none_or(|n| n.is_some_and(|n| n <= MOST_WEIGHTS)),
            "no memory is large enough for it"
        );
        self.shape = output;
        Ok(Layer {
            name: name.clone(),
            input,
            output,
            exchanges,
            kind: kind.clone(),
            parameters,
            learning: learning.clone(),
        })
    }

    /// Which tower it is.
    pub fn tower(&self) -> usize {
        self.tower
    }

    /// Of how many.
    pub fn towers(&self) -> usize {
        self.spec.towers
    }

    /// Classes of all towers together.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// This tower's classes: split as evenly as they go, the first towers taking one more.
    pub fn own_classes(&self) -> Range<usize> {
        let (classes, towers) = (self.classes, self.spec.towers);
        let begin = |tower: usize| tower * (classes / towers) + tower.min(classes % towers);
        begin(self.tower)..begin(self.tower + 1)
    }

    /// From here on maps are split over the towers, so many in all.
    pub fn grow(&mut self, all_channels: usize) {
        self.all_channels = all_channels;
        self.split = true;
    }

    /// This tower's share of a hidden layer, which comes in so many groups.
    pub fn share(&self, total: usize, what: &str, groups: usize) -> Result<usize> {
        let (towers, granule) = (self.spec.towers, groups * GRANULE);
        if self.width == 1.0 {
            let even = total.is_multiple_of(towers * granule);
            ensure!(
                even,
                "{total} {what} over {towers} tower(s): each tower must have a multiple of {granule}"
            );
            return Ok(total / towers);
        }
        ensure!(
            total.is_multiple_of(towers),
            "{total} {what} cannot be split over {towers} towers"
        );
        let granules = (total / towers) as f64 * self.width / granule as f64;
        let share = (granules.round() as usize).max(1).saturating_mul(granule);
        ensure!(
            share.saturating_mul(towers) <= MOST as usize,
            "{total} {what} are too many at this width"
        );
        Ok(share)
    }

    /// Initial values of the layer, for the width.
    pub fn init(&self) -> Init {
        let scale = if self.init.scale_with_width && self.split {
            self.width.sqrt().recip()
        } else {
            1.0
        };
        Init {
            sigma: self.init.sigma * scale,
            ..self.init
        }
    }
}

/// How many windows fit along a side. The last one counts under `Ceil` as long as it begins inside the image.
pub fn positions(
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
