//! Weights from other programs and for them: the files in tests/reference/weights, which `make_weights.py` beside them
//! wrote with PyTorch, NumPy and protobuf, and the logits that PyTorch has for them.

use std::fs;
use std::path::{Path, PathBuf};

use host::commands::{Export, Import, Run};
use host::device::{Place, open};
use host::formats::checkpoint::Checkpoint;
use host::formats::tensors::{Dtype, File, Info};
use host::formats::weights::Tensors;
use host::formats::{npz, pth, state};
use host::model;
use host::net::Network;
use host::net::choice::NetworkChoice;
use host::net::context::Mode;

const SIZE: usize = 72;
const CROP: usize = 68;

/// The batch is as small as the kernels have it.
const BATCH: usize = 32;

fn reference(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/weights");
    folder.join(name)
}

fn import(net: &str, from: &Path, out: &Path) -> Import {
    let units = if net == "paper" { 32 } else { 64 };
    let maps = if net == "paper" { 32 } else { 16 };
    let sizes = (1..=5).map(|layer| format!("conv{layer}.maps={maps}"));
    let units = [6, 7].map(|layer| format!("fc{layer}.units={units}"));
    let input = [format!("input.crop={CROP}"), format!("input.size={SIZE}")];
    Import {
        from: from.into(),
        network: NetworkChoice {
            net: Some(net.into()),
            set: sizes.chain(units).chain(input).collect(),
            ..NetworkChoice::default()
        },
        data: None,
        mean: None,
        normalised: false,
        out: out.into(),
    }
}

fn export(checkpoint: &Path, out: &Path, with_mean: bool) {
    let (checkpoint, out) = (checkpoint.into(), out.into());
    let export = Export {
        checkpoint,
        out,
        with_mean,
    };
    export.run().unwrap();
}

fn stored(name: &str, shape: &[usize], dtype: Dtype) -> Info {
    Info {
        name: name.into(),
        shape: shape.into(),
        dtype,
    }
}

fn doubles(name: &str, len: usize) -> Vec<f64> {
    let bytes = fs::read(reference("weights.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.shape(), [len]);
    let numbers = tensor.data().as_chunks().0.iter();
    numbers.map(|&bytes| f64::from_le_bytes(bytes)).collect()
}

/// The centre of the stored image, each level changed, `[colour][row][column][image]`.
fn centre(level: impl Fn(usize, [usize; 3], u8) -> f32) -> Vec<f32> {
    let bytes = fs::read(reference("weights.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let image = file.tensor("image").unwrap();
    assert_eq!(image.shape(), [SIZE, SIZE, 3]);
    let edge = (SIZE - CROP) / 2;
    let mut out = Vec::new();
    for colour in 0..3 {
        for place in 0..CROP * CROP {
            let (y, x) = (edge + place / CROP, edge + place % CROP);
            let at = (y * SIZE + x) * 3 + colour;
            out.extend([level(at, [y, x, colour], image.data()[at]); BATCH]);
        }
    }
    out
}

fn logits(checkpoint: &Path, image: &[f32]) -> Vec<f32> {
    let (checkpoint, net) = model::open(checkpoint).unwrap();
    let devices = open(&[Place::Cpu], net.towers.len()).unwrap();
    let mut network = Network::new(&net, &devices, BATCH, 1).unwrap();
    state::restore(&network, &checkpoint.tensors, false).unwrap();
    network.load_floats(image, &[0; BATCH]);
    network.forward(Mode::Test);
    let at = net.position("fc8").unwrap();
    let (values, classes) = network.values(at).unwrap();
    values[..classes].into()
}

fn check(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    for (found, expected) in found.iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs() / norm;
        assert!(error < 1e-4, "{found}, not {expected}: {error:.1e}");
    }
}

/// The reference's mean image, by its formula.
fn mean_at([y, x, colour]: [usize; 3]) -> f32 {
    100.0 + y as f32 / 16.0 - x as f32 / 32.0 + 5.0 * colour as f32
}

fn bits(tensors: &Tensors) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let tensors = tensors.iter().map(|(name, (info, numbers))| {
        let bits = numbers.iter().map(|number| number.to_bits());
        (name.clone(), info.shape.clone(), bits.collect())
    });
    tensors.collect()
}

fn all_bits(file: &File) -> Vec<(Info, Vec<u32>)> {
    let infos = file.infos().into_iter();
    let tensor = |info: Info| {
        let numbers = file.f32(&info).unwrap();
        (info, numbers.iter().map(|n| n.to_bits()).collect())
    };
    infos.map(tensor).collect()
}

#[test]
fn numpys_file_gives_pytorchs_logits_and_comes_out_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let (checkpoint, again) = (dir.path().join("a.safetensors"), dir.path().join("a.npz"));
    import("paper", &reference("paper.npz"), &checkpoint)
        .run()
        .unwrap();
    let image = centre(|_, place, level| f32::from(level) - mean_at(place));
    check(&logits(&checkpoint, &image), &doubles("paper.logits", 10));
    export(&checkpoint, &again, false);
    let [before, after] = [reference("paper.npz"), again]
        .map(|path| bits(&npz::parse(&fs::read(path).unwrap()).unwrap()));
    assert_eq!(before, after);
}

#[test]
fn a_caffemodel_old_or_new_is_the_same_network_with_its_colours_turned() {
    let dir = tempfile::tempdir().unwrap();
    let expected = dir.path().join("npz.safetensors");
    import("paper", &reference("paper.npz"), &expected)
        .run()
        .unwrap();
    let expected = Checkpoint::open(&expected).unwrap().tensors;
    for name in ["paper.caffemodel", "paper_v1.caffemodel"] {
        let out = dir.path().join("caffe.safetensors");
        let mut import = import("paper", &reference(name), &out);
        import.mean = Some(reference("mean.binaryproto"));
        import.run().unwrap();
        let found = Checkpoint::open(&out).unwrap().tensors;
        let mean = found
            .f32(&stored("mean", &[SIZE, SIZE, 3], Dtype::F32))
            .unwrap();
        let places = (0..mean.len()).map(|at| [at / 3 / SIZE, at / 3 % SIZE, at % 3]);
        assert!(places.map(mean_at).eq(mean));
        let weights = |file: &File| -> Vec<_> {
            let all = all_bits(file).into_iter();
            all.filter(|(info, _)| info.name != "mean").collect()
        };
        assert_eq!(weights(&found), weights(&expected), "{name}");
    }
}

#[test]
fn torchvisions_file_gives_its_logits_for_its_own_pixels_and_ours() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.safetensors");
    let mut plain = import("torchvision", &reference("torchvision.pth"), &out);
    plain.run().unwrap();
    let image = centre(|_, place, level| (f32::from(level) - mean_at(place)) / 100.0);
    check(&logits(&out, &image), &doubles("torchvision.plain", 10));

    // Under torchvision's names again, and read by us again.
    let exported = dir.path().join("b.safetensors");
    export(&out, &exported, false);
    let theirs = pth::parse(&fs::read(reference("torchvision.pth")).unwrap()).unwrap();
    let ours = File::open(&exported).unwrap();
    let ours: Vec<_> = all_bits(&ours)
        .into_iter()
        .map(|(i, b)| (i.name, i.shape, b))
        .collect();
    assert_eq!(ours, bits(&theirs));
    plain.from = exported;
    plain.out = dir.path().join("c.safetensors");
    plain.run().unwrap();
    assert_eq!(fs::read(&plain.out).unwrap(), fs::read(&out).unwrap());

    plain.from = reference("torchvision.pth");
    plain.normalised = true;
    plain.run().unwrap();
    let mean = Checkpoint::open(&plain.out).unwrap().tensors;
    let mean = mean
        .f32(&stored("mean", &[SIZE, SIZE, 3], Dtype::F32))
        .unwrap();
    let image = centre(|at, _, level| f32::from(level) - mean[at]);
    check(
        &logits(&plain.out, &image),
        &doubles("torchvision.normalised", 10),
    );
}

/// That file has been run by onnxruntime (`check_onnx.py`).
#[test]
fn the_graph_is_the_one_that_onnxruntime_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let (checkpoint, out) = (dir.path().join("a.safetensors"), dir.path().join("a.onnx"));
    let mut import = import("paper", &reference("paper.npz"), &checkpoint);
    import.mean = Some(reference("mean.binaryproto"));
    import.run().unwrap();
    export(&checkpoint, &out, true);
    let same = fs::read(&out).unwrap() == fs::read(reference("paper.onnx")).unwrap();
    assert!(
        same,
        "judge the new graph with check_onnx.py, then commit it"
    );
}

#[test]
fn the_mean_goes_along() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut first = import("paper", &reference("paper.npz"), &at("a.safetensors"));
    first.mean = Some(reference("mean.binaryproto"));
    first.run().unwrap();
    for file in ["b.npz", "b.safetensors"] {
        export(&at("a.safetensors"), &at(file), true);
        import("paper", &at(file), &at("c.safetensors"))
            .run()
            .unwrap();
        let [a, c] = ["a.safetensors", "c.safetensors"].map(|name| fs::read(at(name)).unwrap());
        assert!(a == c, "{file}");
    }
}

/// Tries a changed file; gives its error, one line.
fn error(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(reference(file)).unwrap();
    change(&mut bytes);
    let from = dir.path().join(file);
    fs::write(&from, bytes).unwrap();
    let net = if file.contains("torchvision") {
        "torchvision"
    } else {
        "paper"
    };
    let out = dir.path().join("out.safetensors");
    let error = import(net, &from, &out).run().expect_err("an error");
    assert!(!out.exists());
    let text = format!("{error:#}");
    assert!(text.contains(file) && !text.contains('\n'), "{text}");
    text
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old);
    bytes[at.expect("it is there")..][..new.len()].copy_from_slice(new);
}

#[test]
fn damaged_and_foreign_files_get_one_line() {
    for file in [
        "paper.npz",
        "torchvision.pth",
        "paper.caffemodel",
        "paper_v1.caffemodel",
    ] {
        error(file, |bytes| bytes.truncate(bytes.len() / 2));
        error(file, |bytes| bytes.clear());
        error(file, |bytes| bytes.fill(b'x'));
    }
    // A length of 2⁶³ in place of the first layer's.
    let text = error("paper.caffemodel", |bytes| {
        let length = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        bytes.splice(0..bytes.len(), [&[0xa2, 0x06][..], &length].concat());
    });
    assert!(text.contains("not a whole caffemodel"), "{text}");
    let text = error("paper.caffemodel", |bytes| {
        replace(bytes, b"conv2", b"conv9")
    });
    assert!(text.contains("tensor conv2.weight is missing"), "{text}");
    let text = error("torchvision.pth", |bytes| {
        replace(bytes, b"_rebuild_tensor_v2", b"_rebuild_tensor_v9");
    });
    assert!(text.contains("data.pkl"), "{text}");
}

#[test]
fn a_network_of_other_sizes_is_named_with_both_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = import("paper", &reference("paper.npz"), &dir.path().join("out"));
    other.network.set[3] = "conv4.maps=64".into();
    let text = format!("{:#}", other.run().unwrap_err());
    assert!(
        text.ends_with("tensor conv4.weight: expected [64, 16, 3, 3], found [32, 16, 3, 3]"),
        "{text}"
    );
    let mut other = import(
        "torchvision",
        &reference("paper.npz"),
        &dir.path().join("out"),
    );
    other.network.set.clear();
    let text = format!("{:#}", other.run().unwrap_err());
    assert!(
        text.contains("paper.npz: tensor conv1.weight: expected [64, 3, 11, 11]"),
        "{text}"
    );
}

/// Files changed in some places, cut, or with parts repeated: an error or tensors, never a panic or much memory.
#[test]
fn no_change_of_a_file_makes_a_reader_panic() {
    type Parse = fn(&[u8]) -> anyhow::Result<Tensors>;
    let readers: [(&str, Parse); 3] = [
        ("paper.npz", npz::parse),
        ("torchvision.pth", pth::parse),
        ("paper.caffemodel", host::formats::caffe::parse),
    ];
    for (file, parse) in readers {
        let whole = fs::read(reference(file)).unwrap();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let mut failed = 0;
        for _ in 0..300 {
            let mut bytes = whole.clone();
            // Headers stand at the ends, where most is to be broken.
            for _ in 0..1 + random(4) {
                let from_the_end = bytes.len() - 1 - random(bytes.len().min(4096));
                let at = [
                    random(bytes.len().min(4096)),
                    from_the_end,
                    random(bytes.len()),
                ][random(3)];
                match random(4) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes[at] ^= 1 << random(8),
                    2 => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
                    _ => {
                        bytes.drain(at..(at + 1 + random(64)).min(bytes.len()));
                    }
                }
            }
            failed += usize::from(parse(&bytes).is_err());
        }
        assert!(failed > 50, "{file}: {failed}");
    }
}
