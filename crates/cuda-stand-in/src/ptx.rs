//! What a PTX text says about its kernels.

/// A kernel's entry.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    /// Bytes of each parameter.
    pub sizes: Vec<usize>,
    /// `.maxntid`, if it is there.
    most_threads: Option<u32>,
}

impl From<&ptx_reader::Function> for Entry {
    fn from(function: &ptx_reader::Function) -> Self {
        let parameters = function.parameters.iter();
        Entry {
            name: function.name.clone(),
            sizes: parameters.map(|parameter| parameter.bytes).collect(),
            most_threads: function.max_threads(),
        }
    }
}

impl Entry {
    /// The most threads that a block may have.
    pub fn most_threads(&self) -> u32 {
        self.most_threads.unwrap_or(1024).min(1024)
    }
}
