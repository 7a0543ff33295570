use crate::common::*;

#[test]
fn two_stages_of_tiles() {
    let tiles = 5;
    let x = aligned(floats(1, tiles * 256));
    let expected: Vec<f32> = x.as_flattened().iter().map(|v| v + 1.0).collect();
    let mut out = aligned(vec![0f32; tiles * 256]);
    load("nvcc", "tiles").run("staged", blocks(1, 64), &[&&x, &&mut out, &(tiles as i32)]);
    same_f32(out.as_flattened(), &expected, "staged");
}

#[test]
fn what_is_not_copied_becomes_zero() {
    let x = aligned(integers(32, 1 << 30));
    for bytes in [0, 4, 8] {
        let mut out = vec![-1; 64];
        load("nvcc", "tiles").run("filled", blocks(1, 32), &[&&x, &&mut out, &bytes]);
        let x = x.as_flattened();
        let (mut four, mut eight) = (x.to_vec(), x.to_vec());
        four[31] = 0;
        (bytes as usize / 4..2).for_each(|i| eight[30 + i] = 0);
        let expected: Vec<i32> = four
            .iter()
            .rev()
            .chain(eight.iter().rev())
            .copied()
            .collect();
        assert_eq!(out, expected, "{bytes} bytes");
    }
}
