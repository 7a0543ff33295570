//! ONNX: a network and its weights as one graph, for testing, in the operators of [`OPSET`].
//!
//! The towers' layers are joined. What a tower reads of itself alone is a convolution in groups, or, for the
//! normalisation, one `LRN` for each tower's part; where towers exchange their maps, the joint layer reads all. Windows
//! that hang over the edge are padding at the lower right. Dropout is the factor 1 − p.
//!
//! | | shape | |
//! |---|---|---|
//! | `image`, read | [N, 3, crop, crop] f32 | red, green, blue, 0 to 255, the mean taken off |
//! | `image`, with the mean inside | [N, size, size, 3] u8 | as stored; the centre is cropped |
//! | `logits`, `probabilities` | [N, classes] f32 | |

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prost::Message;

use self::proto::{
    Attribute, Entry, Graph, Length, Model, Node, Opset, Shape, Side, Tensor, TensorType, Type,
    ValueInfo,
};
use super::tensors::Info;
use super::weights::Tensors;
use crate::atomic;
use crate::data::views::centre;
use crate::net::layer::Kind;
use crate::net::layer::convolution::Convolution;
use crate::net::layer::lrn::Lrn;
use crate::net::shapes::{Dims, Layer, Net};

#[allow(missing_docs)]
mod proto;

/// The version of ONNX's operators.
pub const OPSET: i64 = 13;

/// The version of the file format that came with it.
const IR_VERSION: i64 = 7;

/// ONNX's numbers for types: of tensors, and of attributes.
mod kinds {
    pub const FLOAT: i32 = 1;
    pub const U8: i32 = 2;
    pub const I64: i32 = 7;
    pub const AN_INT: i32 = 2;
    pub const A_FLOAT: i32 = 1;
    pub const A_STRING: i32 = 3;
    pub const INTS: i32 = 7;
}

/// Writes a file, whole or not at all: the joint tensors under our names, the classes' names, and the mean image if it
/// is to be inside.
pub fn write(
    path: &Path,
    net: &Net,
    tensors: &Tensors,
    classes: &[String],
    mean: Option<&[f32]>,
) -> Result<()> {
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "host".into(),
        graph: Some(graph(net, tensors, mean)?),
        opsets: vec![Opset {
            domain: String::new(),
            version: OPSET,
        }],
        metadata: vec![Entry {
            key: "classes".into(),
            value: serde_json::to_string(classes)?,
        }],
    };
    let bytes = model.encode_to_vec();
    atomic::write(path, |out: &mut dyn Write| Ok(out.write_all(&bytes)?))
}

fn graph(net: &Net, tensors: &Tensors, mean: Option<&[f32]>) -> Result<Graph> {
    let input = &net.input;
    let [size, crop, colours] = [input.size, input.crop, input.channels].map(|n| n as i64);
    let mut drawn = Drawing::default();
    let image = match mean {
        Some(mean) => {
            drawn.crop(net, mean)?;
            value("image", kinds::U8, &[size, size, colours])
        }
        None => {
            drawn.now = "image".into();
            value("image", kinds::FLOAT, &[colours, crop, crop])
        }
    };
    for at in 0..net.towers[0].len() {
        let layers: Vec<&Layer> = net.towers.iter().map(|tower| &tower[at]).collect();
        let last = at + 2 == net.towers[0].len();
        let name = if last { "logits" } else { &layers[0].name };
        drawn
            .layer(name, &layers, tensors)
            .with_context(|| format!("layer {}", layers[0].name))?;
    }
    let classes = [net.classes as i64];
    let outputs = ["logits", "probabilities"].map(|name| value(name, kinds::FLOAT, &classes));
    Ok(Graph {
        nodes: drawn.nodes,
        name: net.name.clone(),
        initializers: drawn.initializers,
        doc: match mean {
            Some(_) => "image: red, green, blue as stored, 0 to 255".into(),
            None => "image: red, green, blue, 0 to 255, less the mean image".into(),
        },
        inputs: vec![image],
        outputs: outputs.into(),
    })
}

/// An input or output, of any number of images.
fn value(name: &str, kind: i32, sides: &[i64]) -> ValueInfo {
    let fixed = sides.iter().map(|&side| Length::Fixed(side));
    let lengths = [Length::Named("N".into())].into_iter().chain(fixed);
    let sides = lengths.map(|length| Side {
        length: Some(length),
    });
    let shape = Some(Shape {
        sides: sides.collect(),
    });
    ValueInfo {
        name: name.into(),
        kind: Some(Type {
            tensor: Some(TensorType { kind, shape }),
        }),
    }
}

/// A graph as it grows.
#[derive(Default)]
struct Drawing {
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
    /// The value that comes next.
    now: String,
    /// Whether each tower has a part of it; the image is whole for all.
    is_split: bool,
    /// Whether it is rows of units rather than maps.
    is_flat: bool,
}

impl Drawing {
    /// Adds a node that reads what comes next and these, and gives what comes next, by this name.
    fn then(&mut self, operator: &str, name: &str, more: &[&str], attributes: Vec<Attribute>) {
        let first = std::mem::replace(&mut self.now, name.into());
        let more = more.iter().map(|name| name.to_string());
        self.nodes.push(Node {
            inputs: [first].into_iter().chain(more).collect(),
            outputs: vec![name.into()],
            name: name.into(),
            operator: operator.into(),
            attributes,
        });
    }

    fn floats(&mut self, name: &str, sides: &[usize], numbers: &[f32]) {
        self.constant(name, kinds::FLOAT, sides, bytemuck::cast_slice(numbers));
    }

    fn ints(&mut self, name: &str, numbers: &[i64]) {
        let data = bytemuck::cast_slice(numbers);
        self.constant(name, kinds::I64, &[numbers.len()], data);
    }

    fn constant(&mut self, name: &str, kind: i32, sides: &[usize], data: &[u8]) {
        self.initializers.push(Tensor {
            sides: sides.iter().map(|&side| side as i64).collect(),
            kind,
            name: name.into(),
            data: data.into(),
        });
    }

    /// From stored images to what the first layer reads.
    fn crop(&mut self, net: &Net, mean: &[f32]) -> Result<()> {
        let input = &net.input;
        self.now = "image".into();
        self.then("Cast", "levels", &[], vec![int("to", kinds::FLOAT.into())]);
        self.floats("mean", &[input.size, input.size, input.channels], mean);
        self.then("Sub", "less-mean", &["mean"], vec![]);
        self.then(
            "Transpose",
            "planes",
            &[],
            vec![ints("perm", &[0, 3, 1, 2])],
        );
        let view = centre(input);
        let begin = [view.y, view.x].map(i64::from);
        self.ints("crop-begin", &begin);
        self.ints("crop-end", &begin.map(|at| at + input.crop as i64));
        self.ints("crop-axes", &[2, 3]);
        self.then(
            "Slice",
            "centre",
            &["crop-begin", "crop-end", "crop-axes"],
            vec![],
        );
        Ok(())
    }

    /// A layer of all towers.
    fn layer(&mut self, name: &str, layers: &[&Layer], tensors: &Tensors) -> Result<()> {
        let first = layers[0];
        match &first.kind {
            Kind::Convolution(c) => {
                let (shape, names) = self.parameters(first, tensors)?;
                let all: usize = match self.is_split && !first.exchanges {
                    true => layers.iter().map(|layer| layer.input.channels).sum(),
                    false => first.input.channels,
                };
                let groups = all / shape[1];
                let mut attributes = windows(first, c.kernel, c.stride, c.pad);
                attributes.push(int("group", groups as i64));
                self.then("Conv", name, &[&names[0], &names[1]], attributes);
                self.is_split = layers.len() > 1;
            }
            Kind::FullyConnected(_) => {
                if !std::mem::replace(&mut self.is_flat, true) {
                    let flat = format!("{name}-flat");
                    self.then("Flatten", &flat, &[], vec![int("axis", 1)]);
                }
                if self.is_split && !first.exchanges {
                    return self.fully_connected_apart(name, layers, tensors);
                }
                let (_, names) = self.parameters(first, tensors)?;
                let transposed = vec![int("transB", 1)];
                self.then("Gemm", name, &[&names[0], &names[1]], transposed);
                self.is_split = layers.len() > 1;
            }
            Kind::Relu(_) => self.then("Relu", name, &[], vec![]),
            Kind::Tanh(_) => self.then("Tanh", name, &[], vec![]),
            Kind::Lrn(lrn) => self.lrn(name, lrn, layers),
            Kind::LrnWithinMap(lrn) => self.lrn_within_map(name, lrn.formula()),
            Kind::LocallyConnected(local) => {
                ensure!(
                    !self.is_split,
                    "layer {name}: ONNX has no locally connected layers, which are made of others here, for one tower"
                );
                self.locally_connected(name, local.convolution(), first, tensors)?;
            }
            Kind::MaxPool(pool) => {
                let attributes = windows(first, pool.0.kernel, pool.0.stride, pool.0.pad);
                self.then("MaxPool", name, &[], attributes);
            }
            Kind::AveragePool(pool) => {
                // What hangs over the edge does not count, as here.
                let mut attributes = windows(first, pool.0.kernel, pool.0.stride, pool.0.pad);
                attributes.push(int("count_include_pad", 0));
                self.then("AveragePool", name, &[], attributes);
            }
            Kind::Dropout(dropout) => {
                let factor = format!("{name}-kept");
                self.floats(&factor, &[], &[1.0 - dropout.p as f32]);
                self.then("Mul", name, &[&factor], vec![]);
            }
            Kind::Softmax(_) => self.then("Softmax", "probabilities", &[], vec![int("axis", 1)]),
        }
        Ok(())
    }

    /// Adds a layer's weights and biases; gives the weights' shape, and both names.
    fn parameters<'a>(
        &mut self,
        layer: &Layer,
        tensors: &'a Tensors,
    ) -> Result<(&'a [usize], [String; 2])> {
        let names = ["weight", "bias"].map(|part| format!("{}.{part}", layer.name));
        let [weight, bias] = [find(tensors, &names[0])?, find(tensors, &names[1])?];
        for (name, (info, numbers)) in names.iter().zip([weight, bias]) {
            self.floats(name, &info.shape, numbers);
        }
        Ok((&weight.0.shape, names))
    }

    /// A fully connected layer whose towers read each their own.
    fn fully_connected_apart(
        &mut self,
        name: &str,
        layers: &[&Layer],
        tensors: &Tensors,
    ) -> Result<()> {
        let names = ["weight", "bias"].map(|part| format!("{}.{part}", layers[0].name));
        let [(_, weights), (_, biases)] = [find(tensors, &names[0])?, find(tensors, &names[1])?];
        let mut parts = Vec::new();
        for (tower, layer) in layers.iter().enumerate() {
            let p = layer.parameters().context("it has no weights")?;
            let own = names.each_ref().map(|name| format!("{name}.tower{tower}"));
            let rows = &weights[p.first_output * p.inputs..][..p.outputs * p.inputs];
            self.floats(&own[0], &[p.outputs, p.inputs], rows);
            self.floats(
                &own[1],
                &[p.outputs],
                &biases[p.first_output..][..p.outputs],
            );
            parts.push((p.inputs, own));
        }
        let sizes: Vec<usize> = parts.iter().map(|(inputs, _)| *inputs).collect();
        self.apart(name, &sizes, |drawn, tower, part| {
            let own = &parts[tower].1;
            drawn.then("Gemm", part, &[&own[0], &own[1]], vec![int("transB", 1)]);
        });
        Ok(())
    }

    /// One normalisation for each tower. ONNX divides α by the window's length, which is odd here: n even reaches as
    /// far up as down.
    fn lrn(&mut self, name: &str, lrn: &Lrn, layers: &[&Layer]) {
        let window = lrn.n / 2 * 2 + 1;
        let over = if lrn.alpha_over_n { lrn.n } else { 1 };
        let alpha = lrn.alpha / over as f64 * window as f64;
        let attributes = vec![
            int("size", window as i64),
            float("alpha", alpha),
            float("beta", lrn.beta),
            float("bias", lrn.k),
        ];
        if !self.is_split {
            return self.then("LRN", name, &[], attributes);
        }
        let maps: Vec<usize> = layers.iter().map(|layer| layer.output.channels).collect();
        self.apart(name, &maps, |drawn, _, part| {
            drawn.then("LRN", part, &[], attributes.clone());
        });
    }

    /// x / (k + α Σ x²)^β over the pixels around: the sum is their average, zeros beyond the edge counted, times their
    /// number.
    fn lrn_within_map(&mut self, name: &str, lrn: &Lrn) {
        let (window, x) = ((lrn.n / 2 * 2 + 1) as i64, self.now.clone());
        let names =
            ["squares", "average", "scaled", "sum", "power"].map(|what| format!("{name}-{what}"));
        let [squares, average, scaled, sum, power] = names.each_ref().map(String::as_str);
        let constants = ["alpha", "k", "beta"].map(|what| format!("{name}-{what}"));
        let alpha = lrn.alpha_over(lrn.n * lrn.n) * (window * window) as f64;
        for (constant, value) in constants.iter().zip([alpha, lrn.k, lrn.beta]) {
            self.floats(constant, &[], &[value as f32]);
        }
        self.then("Mul", squares, &[&x], vec![]);
        let attributes = vec![
            ints("kernel_shape", &[window; 2]),
            ints("pads", &[window / 2; 4]),
            int("count_include_pad", 1),
        ];
        self.then("AveragePool", average, &[], attributes);
        self.then("Mul", scaled, &[&constants[0]], vec![]);
        self.then("Add", sum, &[&constants[1]], vec![]);
        self.then("Pow", power, &[&constants[2]], vec![]);
        let divisor = std::mem::replace(&mut self.now, x);
        self.then("Div", name, &[&divisor], vec![]);
    }

    /// A convolution whose filters are single ones lays each pixel's window into maps; a sum over them for every pixel has
    /// weights of its own.
    fn locally_connected(
        &mut self,
        name: &str,
        c: &Convolution,
        layer: &Layer,
        tensors: &Tensors,
    ) -> Result<()> {
        let (read, window) = (layer.input.channels, c.kernel * c.kernel);
        let (depth, names) = (read * window, ["window", "all", "weight", "bias"]);
        let [windows_of, all, weight, bias] = names.map(|what| format!("{name}-{what}"));
        let [weights, biases] = ["weight", "bias"].map(|part| format!("{}.{part}", layer.name));
        let [(_, weights), (_, biases)] = [find(tensors, &weights)?, find(tensors, &biases)?];
        let ones: Vec<f32> = (0..depth * depth)
            .map(|at| f32::from(at / depth == at % depth))
            .collect();
        self.floats(&all, &[depth, read, c.kernel, c.kernel], &ones);
        let Dims {
            channels,
            height,
            width,
        } = layer.output;
        self.floats(&weight, &[channels, height, width, depth], weights);
        self.floats(&bias, &[channels, height, width], biases);
        let attributes = windows(layer, c.kernel, c.stride, c.pad);
        self.then("Conv", &windows_of, &[&all], attributes);
        let product = format!("{name}-product");
        self.then(
            "Einsum",
            &product,
            &[&weight],
            vec![string("equation", "nrhw,mhwr->nmhw")],
        );
        self.then("Add", name, &[&bias], vec![]);
        Ok(())
    }

    /// Splits what comes next into the towers' parts, of these sizes, lets `draw` add a node for each, and joins them.
    fn apart(&mut self, name: &str, sizes: &[usize], mut draw: impl FnMut(&mut Self, usize, &str)) {
        let named = |what: &str| -> Vec<String> {
            let towers = 0..sizes.len();
            towers
                .map(|tower| format!("{name}-{what}{tower}"))
                .collect()
        };
        let (parts, done) = (named("part"), named("tower"));
        let lengths: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        self.ints(&format!("{name}-sizes"), &lengths);
        self.nodes.push(Node {
            inputs: vec![self.now.clone(), format!("{name}-sizes")],
            outputs: parts.clone(),
            name: format!("{name}-split"),
            operator: "Split".into(),
            attributes: vec![int("axis", 1)],
        });
        for (tower, part) in parts.into_iter().enumerate() {
            self.now = part;
            draw(self, tower, &done[tower]);
        }
        self.now = done[0].clone();
        let more: Vec<&str> = done[1..].iter().map(String::as_str).collect();
        self.then("Concat", name, &more, vec![int("axis", 1)]);
    }
}

fn find<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a (Info, Vec<f32>)> {
    let found = tensors.get(name);
    found.with_context(|| format!("tensor {name} is missing"))
}

/// The windows of a layer, with as much padding at the end as its last one needs.
fn windows(layer: &Layer, kernel: usize, stride: usize, pad: usize) -> Vec<Attribute> {
    let after = |input: usize, output: usize| {
        let reached = (output - 1) * stride + kernel;
        reached.saturating_sub(pad + input) as i64
    };
    let (Dims { height, width, .. }, output) = (layer.input, layer.output);
    let ends = [after(height, output.height), after(width, output.width)];
    let (kernel, stride, pad) = (kernel as i64, stride as i64, pad as i64);
    vec![
        ints("kernel_shape", &[kernel; 2]),
        ints("strides", &[stride; 2]),
        ints("pads", &[pad, pad, ends[0], ends[1]]),
    ]
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.into(),
        int: Some(value),
        kind: kinds::AN_INT,
        ..Attribute::default()
    }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: name.into(),
        ints: values.into(),
        kind: kinds::INTS,
        ..Attribute::default()
    }
}

fn string(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.into(),
        string: Some(value.into()),
        kind: kinds::A_STRING,
        ..Attribute::default()
    }
}

fn float(name: &str, value: f64) -> Attribute {
    Attribute {
        name: name.into(),
        float: Some(value as f32),
        kind: kinds::A_FLOAT,
        ..Attribute::default()
    }
}
