//! Where variables lie: those of the module, shared memory, parameters.

use std::collections::HashMap;

use ptx_reader::{Constant, Error, Function, Module, Statement, Variable};

/// Where everything lies.
#[derive(Default)]
pub struct Layout {
    /// Offsets of `.global` and `.const` variables of the module.
    pub variables: HashMap<String, (usize, usize)>,
    /// Bytes of all of them.
    pub bytes: usize,
    /// What they begin as where that is not zero: the place, the value, and how many bytes of that.
    pub initial: Vec<(usize, u64, usize)>,
    /// Places that hold an address: the variable or function, and what is added.
    pub addresses: Vec<(usize, String, i64)>,
    /// Offsets of `.shared` variables of the module; `None` of the array whose size the launch gives.
    pub shared: HashMap<String, Option<u32>>,
    /// Of those within a function, by its name and theirs.
    pub own_shared: HashMap<(String, String), u32>,
    /// Bytes of all of them.
    pub static_shared: u32,
}

impl Layout {
    pub fn of(module: &Module, text: &str) -> Result<Self, Error> {
        let mut layout = Layout::default();
        for variable in &module.variables {
            match variable.space.as_str() {
                "shared" if variable.bytes == 0 => {
                    layout.shared.insert(variable.name.clone(), None);
                }
                "shared" => {
                    let offset = layout.add_shared(variable)?;
                    layout.shared.insert(variable.name.clone(), Some(offset));
                }
                _ => layout.add(variable)?,
            }
        }
        for function in &module.functions {
            for statement in function.statements(text)? {
                if let Statement::Variable(variable) = statement
                    && variable.space == "shared"
                {
                    let offset = layout.add_shared(&variable)?;
                    let key = (function.name.clone(), variable.name);
                    layout.own_shared.insert(key, offset);
                }
            }
        }
        // What the launch asks for begins where every type may.
        layout.static_shared = layout.static_shared.next_multiple_of(16);
        Ok(layout)
    }

    fn add_shared(&mut self, variable: &Variable) -> Result<u32, Error> {
        let alignment = variable.alignment.max(1) as u32;
        let offset = self.static_shared.next_multiple_of(alignment);
        let end = u32::try_from(variable.bytes).ok();
        let end = end.and_then(|bytes| offset.checked_add(bytes));
        self.static_shared = end
            .filter(|end| *end <= MOST_SHARED)
            .ok_or_else(|| too_large(variable))?;
        Ok(offset)
    }

    fn add(&mut self, variable: &Variable) -> Result<(), Error> {
        let offset = self.bytes.next_multiple_of(variable.alignment.max(16));
        let end = offset.checked_add(variable.bytes);
        let end = end.filter(|end| *end <= MOST_BYTES);
        self.bytes = end.ok_or_else(|| too_large(variable))?;
        let element = crate::opcode::Type::read(&variable.element);
        let bytes = element.map_or(8, |ty| ty.bytes() as usize);
        for (i, constant) in variable.initial.iter().enumerate() {
            let at = offset + i * bytes;
            let value = match constant {
                Constant::Integer(n) => *n,
                Constant::F32(bits) if bytes == 8 => f64::from(f32::from_bits(*bits)).to_bits(),
                Constant::F32(bits) => u64::from(*bits),
                Constant::F64(bits) if bytes == 4 => {
                    u64::from((f64::from_bits(*bits) as f32).to_bits())
                }
                Constant::F64(bits) => *bits,
                Constant::Address { name, offset } => {
                    self.addresses.push((at, name.clone(), *offset));
                    0
                }
            };
            let bytes = bytes.min(8);
            if at + bytes > self.bytes {
                return Err(too_large(variable));
            }
            self.initial.push((at, value, bytes));
        }
        let place = (offset, variable.bytes);
        self.variables.insert(variable.name.clone(), place);
        Ok(())
    }
}

/// No GPU has more shared memory.
const MOST_SHARED: u32 = 1 << 20;
/// Nor has a text larger variables.
const MOST_BYTES: usize = 1 << 32;

fn too_large(variable: &Variable) -> Error {
    Error {
        line: 0,
        cause: format!("the variable {} is larger than its place", variable.name),
    }
}

/// A kernel's parameters with their offsets.
pub fn parameters(function: &Function) -> impl Iterator<Item = (&Variable, u32)> {
    let mut end = 0;
    function.parameters.iter().map(move |parameter| {
        let offset = usize::next_multiple_of(end, parameter.alignment.max(1));
        end = offset + parameter.bytes;
        (parameter, offset as u32)
    })
}
