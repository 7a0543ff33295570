//! A machine for the pickles of `torch.save`: a stack, a memo, and protocol 2's instructions as far as dictionaries of
//! tensors need them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use console::escaped;

/// Most instructions that are run; AlexNet's pickle has some 700.
const STEPS: usize = 1 << 17;

/// How deep values may be nested.
const DEPTH: usize = 64;

/// What a pickle makes.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`, a truth value, a float: nothing that is looked at.
    Other,
    /// A whole number.
    Int(i64),
    /// A string.
    Text(String),
    /// A tuple or a list.
    Tuple(Vec<Rc<Value>>),
    /// A dictionary, in its order.
    Dict(Vec<(Rc<Value>, Rc<Value>)>),
    /// A function or class, of those in [`GLOBALS`].
    Global(&'static str),
    /// Numbers, by the key of their file.
    Storage(String),
    /// A view of a storage.
    Tensor(Tensor),
}

/// A tensor of f32.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The key of the storage it lies in.
    pub storage: String,
    /// Where it begins there, in numbers.
    pub offset: usize,
    /// Its sides, the slowest first.
    pub shape: Vec<usize>,
}

impl Tensor {
    /// How many bytes it takes.
    pub fn bytes(&self) -> Option<usize> {
        let sides = self.shape.iter();
        sides
            .copied()
            .try_fold(size_of::<f32>(), usize::checked_mul)
    }

    /// Its bytes in the storage.
    pub fn range(&self) -> Option<Range<usize>> {
        let begin = self.offset.checked_mul(size_of::<f32>())?;
        Some(begin..begin.checked_add(self.bytes()?)?)
    }
}

/// All that a pickle may name.
const GLOBALS: [&str; 4] = [
    ORDERED_DICT,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    FLOAT_STORAGE,
];
const ORDERED_DICT: &str = "collections OrderedDict";
const REBUILD_TENSOR: &str = "torch._utils _rebuild_tensor_v2";
const REBUILD_PARAMETER: &str = "torch._utils _rebuild_parameter";
const FLOAT_STORAGE: &str = "torch FloatStorage";

/// Runs a pickle; gives what it leaves.
pub fn run(program: &[u8]) -> Result<Value> {
    let mut machine = Machine {
        rest: program,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
    };
    for _ in 0..STEPS {
        if let Some(value) = machine.step()? {
            return Ok(Rc::unwrap_or_clone(value));
        }
    }
    bail!("more than {STEPS} instructions")
}

/// A value and how deep it is nested.
type Item = (Rc<Value>, usize);

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Item>,
    /// Where on the stack the marks are.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Item>,
}

impl<'a> Machine<'a> {
    /// Does one instruction; the last one gives the result.
    fn step(&mut self) -> Result<Option<Rc<Value>>> {
        let [code] = self.array()?;
        match code {
            0x80 => {
                let [version] = self.array()?;
                ensure!(version == 2, "pickle protocol {version}, not 2");
            }
            b'.' => return Ok(Some(self.pop()?.0)),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                let _: [u8; 8] = self.array()?;
                self.push(Value::Other);
            }
            b'K' => {
                let [n] = self.array()?;
                self.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(n.into()));
            }
            b'J' => {
                let n = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(n.into()));
            }
            0x8a => self.long()?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                let text = std::str::from_utf8(self.take(length as usize)?);
                self.push(Value::Text(text.context("a string is no text")?.to_owned()));
            }
            b'q' => {
                let [at] = self.array()?;
                self.remember(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(self.array()?);
                self.remember(at)?;
            }
            b'h' => {
                let [at] = self.array()?;
                self.recall(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.array()?);
                self.recall(at)?;
            }
            b')' | b']' => self.push(Value::Tuple(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b't' => {
                let items = self.since_mark()?;
                self.tuple(items)?;
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let begin = self.stack.len().checked_sub(count).context("it is cut")?;
                let items = self.stack.split_off(begin);
                self.tuple(items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(items)?;
            }
            b'c' => self.global()?,
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            // An object's further attributes, such as a state dict's `_metadata`.
            b'b' => {
                self.pop()?;
            }
            _ => bail!("instruction 0x{code:02x} does not belong in a dictionary of tensors"),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).context("it is cut")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn push(&mut self, value: Value) {
        self.stack.push((Rc::new(value), 0));
    }

    fn pop(&mut self) -> Result<Item> {
        self.stack.pop().context("it takes what is not there")
    }

    fn since_mark(&mut self) -> Result<Vec<Item>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        let mark = mark.context("it goes back to a mark that is not there")?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, at: u32) -> Result<()> {
        let top = self.stack.last().context("it takes what is not there")?;
        self.memo.insert(at, top.clone());
        Ok(())
    }

    fn recall(&mut self, at: u32) -> Result<()> {
        let item = self.memo.get(&at).context("it recalls what is not there")?;
        self.stack.push(item.clone());
        Ok(())
    }

    /// A whole number of up to eight bytes.
    fn long(&mut self) -> Result<()> {
        let [length] = self.array()?;
        ensure!(length <= 8, "a number of {length} bytes");
        let bytes = self.take(length.into())?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(whole)));
        Ok(())
    }

    fn tuple(&mut self, items: Vec<Item>) -> Result<()> {
        self.push(Value::Tuple(Vec::new()));
        self.extend(items)
    }

    /// Appends to the tuple or list on top.
    fn extend(&mut self, items: Vec<Item>) -> Result<()> {
        let (top, depth) = self
            .stack
            .last_mut()
            .context("it takes what is not there")?;
        let Value::Tuple(all) = Rc::make_mut(top) else {
            bail!("it appends to what is no list");
        };
        for (item, inner) in items {
            *depth = (*depth).max(inner + 1);
            all.push(item);
        }
        ensure!(*depth <= DEPTH, "values are nested too deep");
        Ok(())
    }

    /// Adds keys and values, in turn, to the dictionary on top.
    fn set(&mut self, items: Vec<Item>) -> Result<()> {
        let (top, depth) = self
            .stack
            .last_mut()
            .context("it takes what is not there")?;
        let Value::Dict(entries) = Rc::make_mut(top) else {
            bail!("it sets keys of what is no dictionary");
        };
        let (pairs, odd) = items.as_chunks::<2>();
        ensure!(odd.is_empty(), "a key has no value");
        for [key, value] in pairs {
            *depth = (*depth).max(key.1.max(value.1) + 1);
            entries.push((key.0.clone(), value.0.clone()));
        }
        ensure!(*depth <= DEPTH, "values are nested too deep");
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str> {
        let length = self.rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(length.context("it is cut")?)?;
        self.take(1)?;
        std::str::from_utf8(line).context("a name is no text")
    }

    fn global(&mut self) -> Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        let wanted = format!("{module} {name}");
        let known = GLOBALS.iter().find(|known| **known == wanted);
        let Some(known) = known else {
            bail!(
                "it names `{}.{}`, which float32 tensors do not need",
                escaped(module),
                escaped(name)
            );
        };
        self.push(Value::Global(known));
        Ok(())
    }

    /// A persistent name: ("storage", its type, its key, where it was, how long it is).
    fn storage(&mut self) -> Result<()> {
        let (name, _) = self.pop()?;
        let (word, kind, key) = match &*name {
            Value::Tuple(parts) => match parts.as_slice() {
                [word, kind, key, _, _] => (&**word, &**kind, &**key),
                _ => bail!("a storage's name has {} parts", parts.len()),
            },
            _ => bail!("a storage's name is no tuple"),
        };
        match (word, kind, key) {
            (Value::Text(word), Value::Global(FLOAT_STORAGE), Value::Text(key))
                if word == "storage" =>
            {
                self.push(Value::Storage(key.clone()));
                Ok(())
            }
            _ => bail!("a storage is not of float32"),
        }
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?.0, self.pop()?.0);
        let (Value::Global(function), Value::Tuple(arguments)) = (&*function, &*arguments) else {
            bail!("it calls what is no function");
        };
        let arguments: Vec<&Value> = arguments.iter().map(|value| &**value).collect();
        let value = match (*function, arguments.as_slice()) {
            (ORDERED_DICT, []) => Value::Dict(Vec::new()),
            (
                REBUILD_TENSOR,
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    ..,
                ],
            ) => Value::Tensor(tensor(storage, *offset, shape, strides)?),
            (REBUILD_PARAMETER, [Value::Tensor(tensor), ..]) => Value::Tensor(tensor.clone()),
            _ => bail!("it calls `{function}` with other arguments than torch.save"),
        };
        self.push(value);
        Ok(())
    }
}

fn tensor(
    storage: &str,
    offset: i64,
    shape: &[Rc<Value>],
    strides: &[Rc<Value>],
) -> Result<Tensor> {
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    ensure!(
        shape.len() == strides.len(),
        "a tensor has other strides than sides"
    );
    let mut step = 1usize;
    for (side, stride) in shape.iter().zip(&strides).rev() {
        ensure!(
            *side == 1 || *stride == step,
            "a tensor is not contiguous; save it so (.contiguous())"
        );
        step = step.checked_mul(*side).context("a tensor is too large")?;
    }
    Ok(Tensor {
        storage: storage.to_owned(),
        offset: usize::try_from(offset).context("a tensor begins before its storage")?,
        shape,
    })
}

fn sizes(values: &[Rc<Value>]) -> Result<Vec<usize>> {
    let sizes = values.iter().map(|value| match &**value {
        Value::Int(n) => usize::try_from(*n).context("a side is negative"),
        _ => bail!("a side is no number"),
    });
    sizes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(program: &[u8]) -> String {
        run(program).unwrap_err().to_string()
    }

    #[test]
    fn only_what_tensors_need_can_be_named() {
        let text = error(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
        assert_eq!(
            text,
            "it names `posix.system`, which float32 tensors do not need"
        );
        let text = error(b"\x80\x02ctorch\nHalfStorage\n.");
        assert!(text.contains("torch.HalfStorage"), "{text}");
        // INST and EXT1 are instructions, but not of such files.
        for code in [b'i', 0x82] {
            assert!(error(&[0x80, 2, code]).contains("does not belong"));
        }
    }

    #[test]
    fn what_is_cut_or_takes_too_much_is_told() {
        assert_eq!(error(b"\x80\x02("), "it is cut");
        assert_eq!(error(b"\x80\x02X\xff\xff\xff\xffab"), "it is cut");
        assert_eq!(
            error(b"\x80\x02u"),
            "it goes back to a mark that is not there"
        );
        assert_eq!(error(b"\x80\x02h\x07"), "it recalls what is not there");
        assert_eq!(error(b"\x80\x04"), "pickle protocol 4, not 2");
        assert_eq!(
            error(&[&b"\x80\x02N"[..], &[0x85; 100]].concat()),
            "values are nested too deep"
        );
        assert!(error(&[b'N'; 1 << 18]).contains("more than 131072"));
    }

    /// A tuple of two of the tuple before, sixty times: it is shared, not copied.
    #[test]
    fn a_value_that_is_recalled_costs_nothing() {
        let twice = [b'q', 0, b'h', 0, 0x86];
        let program = [&b"\x80\x02N"[..], &twice.repeat(60), b"."].concat();
        assert!(run(&program).is_ok());
    }

    #[test]
    fn a_tensor_must_be_contiguous() {
        let one = |n: i64| Rc::new(Value::Int(n));
        let made = |shape: &[i64], strides: &[i64]| {
            let [shape, strides]: [Vec<_>; 2] =
                [shape, strides].map(|all| all.iter().map(|&n| one(n)).collect());
            tensor("0", 0, &shape, &strides)
        };
        assert!(made(&[2, 1, 3], &[3, 7, 1]).is_ok());
        assert!(made(&[2, 3], &[1, 2]).is_err());
        assert!(made(&[-1], &[1]).is_err());
        assert!(made(&[i64::MAX, i64::MAX], &[i64::MAX, 1]).is_err());
    }
}
