//! The document's NumPy reader, run where there are Python and NumPy, on a set whose images' sums
//! are known here.
#![allow(clippy::print_stderr)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{packed, pixels_of, text};
use dataset_pack::Dataset;

#[test]
fn the_documents_reader_reads() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if !numpy.is_ok_and(|output| output.status.success()) {
        eprintln!("no NumPy for {python}: not tested (PYTHON names another)");
        return;
    }
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("FORMAT.md");
    let document = std::fs::read_to_string(document).expect("reads");
    let code = document
        .split("```python")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let dir = packed();
    let set = dir.path().join("set");
    let program = format!(
        "{}\nfor images, labels in read_set({:?}):\n    for image, label in zip(images, labels):\n        \
         print(int(label), int(image.sum()), int(image[3, 5, 1]))\n",
        code.expect("a program"),
        text(&set)
    );
    let output = Command::new(&python)
        .args(["-c", &program])
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let set = Dataset::open(&set).expect("opens");
    let expected: String = (0..set.len())
        .map(|index| {
            let pixels = pixels_of(&set, index);
            let sum: u64 = pixels.iter().map(|&level| u64::from(level)).sum();
            format!(
                "{} {sum} {}\n",
                set.label(index),
                pixels[(3 * 32 + 5) * 3 + 1]
            )
        })
        .collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
