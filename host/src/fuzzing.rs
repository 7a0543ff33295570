//! What the fuzz targets call. Nothing here may panic or take much memory, whatever the bytes.

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::LazyLock;

use anyhow::Result;
use toml::Table;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::formats::checkpoint::Checkpoint;
use crate::formats::tensors::{self, Info, Text};
use crate::formats::{caffe, weights};
use crate::index::{Description, Index};
use crate::net::shapes::Net;
use crate::net::spec::{PRESETS, Spec};

/// A network whose weights take few bytes.
const NET: &str = r#"
name = "small"
towers = 2
[input]
size = 8
crop = 8
[[layer]]
name = "conv1"
kind = "convolution"
maps = 32
kernel = 2
stride = 4
[[layer]]
name = "dropout"
kind = "dropout"
p = 0.5
[[layer]]
name = "fc2"
kind = "fully-connected"
units = "classes"
reads = "both"
[[layer]]
name = "softmax"
kind = "softmax"
"#;

static SMALL: LazyLock<Spec> = LazyLock::new(|| Spec::parse(NET).expect("a network"));

/// More than this no sealed index is made to take.
const MOST: usize = 1 << 20;

/// Bytes as a file, for readers that want one.
fn as_file(bytes: &[u8], ending: &str, read: impl FnOnce(&Path)) {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    };
    let file = tempfile::Builder::new().suffix(ending).tempfile_in(folder);
    let Ok(mut file) = file else { return };
    if file.write_all(bytes).is_ok() {
        read(file.path());
    }
}

/// The first byte, which says what is made of the others.
fn choice(bytes: &[u8]) -> (u8, &[u8]) {
    bytes
        .split_first()
        .map_or((0, bytes), |(&n, rest)| (n, rest))
}

/// What `host import` does with a file of weights.
fn import(ending: &str, bytes: &[u8]) {
    let read = |path: &Path| -> Result<()> {
        let any = net()?;
        let given = weights::read(&any, path)?;
        let net = SMALL.resolve(1.0, weights::classes(&any, &given)?)?;
        weights::check(&net, &given)?;
        weights::towers(&net, &given).map(drop)
    };
    as_file(bytes, ending, |path| drop(read(path)));
}

fn net() -> Result<Net> {
    SMALL.resolve(1.0, 2)
}

/// Files in a zip archive, so that their checksums are right.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        if archive.start_file(*name, stored).is_ok() {
            let _ = archive.write_all(bytes);
        }
    }
    archive.finish().map_or(Vec::new(), Cursor::into_inner)
}

/// A caffemodel and a binaryproto.
pub fn caffe(bytes: &[u8]) {
    import(".caffemodel", bytes);
    let _ = net().map(|net| caffe::mean(&net, bytes));
}

/// An npz file, or with an odd first byte an array of one.
pub fn npz(bytes: &[u8]) {
    match choice(bytes) {
        (n, array) if n % 2 == 1 => import(".npz", &zipped(&[("fc2.bias.npy", array)])),
        (_, file) => import(".npz", file),
    }
}

/// A file of `torch.save`, or with an odd first byte the pickle of one, which has a storage of 64 numbers.
pub fn pth(bytes: &[u8]) {
    match choice(bytes) {
        (n, pickle) if n % 2 == 1 => {
            let file = zipped(&[("a/data.pkl", pickle), ("a/data/0", &[0; 256])]);
            import(".pth", &file);
        }
        (_, file) => import(".pth", file),
    }
}

/// Weights as safetensors.
pub fn safetensors(bytes: &[u8]) {
    import(".safetensors", bytes);
}

/// A checkpoint, or with an odd first byte the text of one: a JSON object of strings.
pub fn checkpoint(bytes: &[u8]) {
    let open = |path: &Path| -> Result<()> {
        let checkpoint = Checkpoint::open(path)?;
        let net = checkpoint.network()?;
        let _ = (net.parameter_count(), checkpoint.training.to_text()?);
        let infos = checkpoint.tensors.infos();
        checkpoint.tensors.check(&infos)?;
        infos.iter().try_for_each(|info| match info.dtype {
            tensors::Dtype::I64 => checkpoint.tensors.i64(info).map(drop),
            _ => checkpoint.tensors.f32(info).map(drop),
        })
    };
    let write = |path: &Path, text: &[u8]| -> Result<()> {
        let text: Text = serde_json::from_slice(text)?;
        tensors::write(path, &text, &[Info::f32("a", [1])], |_| {
            Ok(vec![0; 4].into())
        })
    };
    match choice(bytes) {
        (n, text) if n % 2 == 1 => as_file(&[], "", |path| {
            if write(path, text).is_ok() {
                let _ = open(path);
            }
        }),
        (_, file) => as_file(file, "", |path| drop(open(path))),
    }
}

/// An index of features, or with an odd first byte a description and what follows it, put together as one.
pub fn index(bytes: &[u8]) {
    let file = match choice(bytes) {
        (n, parts) if n % 2 == 1 => sealed_index(parts),
        (_, file) => file.to_vec(),
    };
    as_file(&file, "", |path| {
        let Ok(index) = Index::open(path) else { return };
        let Description { rows, width, .. } = index.description;
        if (1..=64).contains(&rows) && width <= 4096 {
            let row = index.features(rows - 1);
            let _ = row.and_then(|row| index.nearest(&row, 3, Some(0)));
        }
    });
}

/// The description is a line; its checksum, the number of finished rows, the length of the file and the rows' checksums
/// are put right.
fn sealed_index(bytes: &[u8]) -> Vec<u8> {
    let line = bytes.iter().position(|byte| *byte == b'\n');
    let (text, rest) = bytes.split_at(line.unwrap_or(bytes.len()));
    let made: Option<Description> = serde_json::from_slice(text).ok();
    let rows = made.as_ref().map_or(0, |made| made.rows);
    let mut file = [&b"ALEXIDX2"[..], &rows.to_le_bytes()].concat();
    file.extend((text.len() as u32).to_le_bytes());
    file.extend(crc32c::crc32c(text).to_le_bytes());
    file.resize(32, 0);
    file.extend(text);
    file.resize(4096, 0);
    file.extend(rest);
    let parts = made.and_then(|made| {
        let numbers = made.rows.checked_mul(made.width)?;
        let notes = numbers.checked_add(4096)?.checked_next_multiple_of(64)?;
        let features = made.rows.checked_mul(24)?.checked_add(notes)?;
        let features = features.checked_next_multiple_of(64)?;
        let bytes = made.width.checked_mul(if made.half { 2 } else { 4 })?;
        let end = made.rows.checked_mul(bytes)?.checked_add(features)?;
        (end <= MOST).then_some((made, notes, features, bytes, end))
    });
    let Some((made, notes, features, bytes, end)) = parts else {
        return file;
    };
    file.resize(end, 0);
    for row in 0..made.rows {
        let codes = 4096 + row * made.width;
        let note = notes + row * 24;
        let sum = crc32c::crc32c(&file[codes..codes + made.width]);
        let sum = crc32c::crc32c_append(sum, &file[note..note + 16]);
        file[note + 16..note + 20].copy_from_slice(&sum.to_le_bytes());
        let feature = features + row * bytes;
        let sum = crc32c::crc32c(&file[feature..feature + bytes]);
        file[note + 20..note + 24].copy_from_slice(&sum.to_le_bytes());
    }
    file
}

/// The TOML of a network, which may differ from a preset but from no other file.
pub fn network(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let base = text.parse::<Table>().ok();
    let base = base.as_ref().and_then(|table| table.get("base")?.as_str());
    if base.is_some_and(|base| PRESETS.iter().all(|(name, _)| *name != base)) {
        return;
    }
    let read = |path: &Path| -> Result<()> {
        let spec = Spec::load(path, &["train.momentum=0.5".into(), "conv1.bias=1".into()])?;
        for (width, classes) in [(1.0, 10), (0.25, 1000)] {
            let net = spec.resolve(width, classes)?;
            let _ = (net.parameter_count(), spec.keys());
        }
        Spec::parse(&spec.to_toml()).map(drop)
    };
    as_file(bytes, ".toml", |path| drop(read(path)));
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Calls a target with its seeds and with all that fuzzing it has found to reach something new.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let seeds = std::fs::read_dir(folder.join("seeds").join(name)).expect("seeds");
        for seed in seeds {
            target(&std::fs::read(seed.expect("an entry").path()).expect("a seed"));
        }
        let file = folder.join("corpus").join(format!("{name}.tar.gz"));
        let file = std::fs::File::open(file).expect("a corpus");
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let mut inputs = 0;
        for entry in archive.entries().expect("an archive") {
            let mut bytes = Vec::new();
            let mut entry = entry.expect("a member");
            entry.read_to_end(&mut bytes).expect("its bytes");
            target(&bytes);
            inputs += 1;
        }
        assert!(inputs > 20, "{inputs}");
    }

    #[test]
    fn caffes_files() {
        replay("caffe", caffe);
    }

    #[test]
    fn numpys_files() {
        replay("npz", npz);
    }

    #[test]
    fn pytorchs_files() {
        replay("pth", pth);
    }

    #[test]
    fn weights_as_tensors() {
        replay("safetensors", safetensors);
    }

    #[test]
    fn checkpoints() {
        replay("checkpoint", checkpoint);
    }

    #[test]
    fn indices() {
        replay("index", index);
        // Seeds of another format than today's would lead nowhere.
        for name in ["f32-whole", "f16-whole"] {
            let seed = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fuzz/seeds/index")
                .join(name);
            let bytes = std::fs::read(seed).expect("a seed");
            as_file(choice(&bytes).1, "", |path| {
                let index = Index::open(path).expect("an index");
                let row = index.features(1).expect("features");
                assert_eq!(row[0], 8.0);
            });
        }
    }

    #[test]
    fn networks() {
        replay("network", network);
    }
}
