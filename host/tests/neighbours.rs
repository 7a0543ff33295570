//! What `similar` finds, against NumPy's plain search: tests/reference/neighbours.py made the state.

use std::path::Path;

use host::index::{Description, Index, Writer};
use safetensors::SafeTensors;

/// The numbers of a tensor, and how long its rows are.
fn rows<const N: usize, T>(
    state: &SafeTensors,
    name: &str,
    of: fn([u8; N]) -> T,
) -> (Vec<T>, usize) {
    let tensor = state.tensor(name).unwrap();
    let numbers = tensor.data().as_chunks().0.iter().copied().map(of);
    (numbers.collect(), tensor.shape()[1])
}

#[test]
fn neighbours_and_distances_are_numpys() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference");
    let bytes = std::fs::read(reference.join("neighbours.safetensors")).unwrap();
    let state = SafeTensors::deserialize(&bytes).unwrap();
    let (features, width) = rows(&state, "features", f32::from_le_bytes);
    let (queries, _) = rows(&state, "queries", f32::from_le_bytes);
    let dir = tempfile::tempdir().unwrap();
    for (half, kind) in [(false, "f32"), (true, "f16")] {
        let (expected, count) = rows(&state, &format!("rows.{kind}"), i64::from_le_bytes);
        let (distances, _) = rows(&state, &format!("distances.{kind}"), f64::from_le_bytes);
        let index = index(&dir.path().join(kind), &features, width, half);
        for (number, query) in queries.chunks_exact(width).enumerate() {
            let found = index.nearest(query, count, None).unwrap();
            let expected = &expected[number * count..][..count];
            let ids: Vec<i64> = found.iter().map(|one| one.row as i64).collect();
            assert_eq!(ids, expected, "query {number}, {kind}");
            let all: Vec<usize> = (0..index.description.rows).collect();
            assert_eq!(index.nearest_of(query, &all, count).unwrap(), found);
            for (one, distance) in found.iter().zip(&distances[number * count..]) {
                let off = (one.distance - distance).abs();
                assert!(
                    off <= 1e-12 * distance,
                    "query {number}, {kind}: off by {off:e}"
                );
            }
        }
    }
}

fn index(path: &Path, features: &[f32], width: usize, half: bool) -> Index {
    let description = Description {
        checkpoint: String::new(),
        checkpoint_hash: String::new(),
        data: String::new(),
        set: String::new(),
        layer: String::new(),
        rows: features.len() / width,
        width,
        half,
    };
    let mut writer = Writer::open(path, &description).unwrap();
    writer.write(0, features).unwrap();
    writer.publish().unwrap();
    Index::open(path).unwrap()
}
