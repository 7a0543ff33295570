//! PyTorch's `.pth`: a zip file with a pickle, `NAME/data.pkl`, and the numbers of each storage, `NAME/data/KEY`.
//!
//! A pickle is a program. What runs it here knows the few instructions and the three functions that a dictionary of
//! tensors is made of, and refuses all others: nothing in a file can be executed.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use console::escaped;
use zip::ZipArchive;

use self::pickle::{Tensor, Value};
use super::tensors::Info;
use super::weights::{Tensors, numbers};

mod pickle;

/// Longest pickle that is read. AlexNet's has 2 KB.
const PICKLE_LIMIT: u64 = 1 << 20;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Reads the bytes of a file: a state dict, or a dictionary with one under `state_dict`.
pub fn parse(bytes: &[u8]) -> Result<Tensors> {
    let zip = "not a zip file of torch.save (before PyTorch 1.6 it wrote another format)";
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context(zip)?;
    let mut names = archive.file_names().filter_map(Result::ok);
    let folder = names.find_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()));
    drop(names);
    let folder = folder.context("it has no data.pkl")?;
    if let Ok(order) = member(&mut archive, &format!("{folder}byteorder"), 16) {
        ensure!(order == b"little", "its numbers are not little-endian");
    }
    let program = member(&mut archive, &format!("{folder}data.pkl"), PICKLE_LIMIT)?;
    let value = pickle::run(&program).context("data.pkl")?;
    let mut tensors = Tensors::new();
    // Each number stands once in the file; tensors that share them could otherwise fill any memory.
    let mut room = bytes.len();
    for (name, tensor) in state_dict(&value)? {
        let read = || -> Result<(Info, Vec<f32>)> {
            let wanted = tensor.bytes().filter(|wanted| *wanted <= room);
            room -= wanted.context("it has more numbers than the file")?;
            let key = format!("{folder}data/{}", tensor.storage);
            let storage = member(&mut archive, &key, bytes.len() as u64)?;
            let data = tensor.range().and_then(|range| storage.get(range));
            let data = data.context("it reaches beyond its storage")?;
            Ok((Info::f32(name, tensor.shape.clone()), numbers(data)))
        };
        let tensor = { read }().with_context(|| format!("tensor {}", escaped(name)))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// A file of the archive, of at most so many bytes.
fn member(archive: &mut Archive, name: &str, limit: u64) -> Result<Vec<u8>> {
    let failed = || format!("`{}`", escaped(name));
    let file = archive.by_name(name).with_context(failed)?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.with_context(failed)?;
    ensure!(
        bytes.len() as u64 <= limit,
        "`{}`: longer than {limit} bytes",
        escaped(name)
    );
    Ok(bytes)
}

/// The names and tensors of what was saved.
fn state_dict(value: &Value) -> Result<Vec<(&str, &Tensor)>> {
    let Value::Dict(entries) = value else {
        bail!("it is no dictionary of tensors; save the module's state_dict()");
    };
    let inner = entries.iter().find_map(|(key, value)| match &**key {
        Value::Text(text) if text == "state_dict" => Some(value),
        _ => None,
    });
    if let Some(inner) = inner {
        ensure!(
            matches!(&**inner, Value::Dict(_)),
            "its `state_dict` is none"
        );
        return state_dict(inner);
    }
    let pairs = entries.iter().map(|(key, value)| match (&**key, &**value) {
        (Value::Text(name), Value::Tensor(tensor)) => Ok((name.as_str(), tensor)),
        (Value::Text(name), _) => bail!("`{}` is no tensor of float32", escaped(name)),
        _ => bail!("a tensor's name is no text"),
    });
    pairs.collect()
}
