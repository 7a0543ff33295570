//! NumPy's files of one array, version 1.0 of the format: a magic word, the length of a header, the header, which is a
//! Python literal padded to a multiple of 64 bytes, and the numbers, the last index fastest.

/// What stands before the numbers of an array of this type (as NumPy writes it, `<f4`) and shape.
pub fn head(dtype: &str, shape: &[usize]) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let sides = match shape {
        [_] => sides.trim_end(),
        _ => sides.trim_end_matches(", "),
    };
    let mut text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({sides}), }}");
    let before = 10;
    let end = (before + text.len() + 1).next_multiple_of(64) - before;
    text.extend(std::iter::repeat_n(' ', end - 1 - text.len()));
    text.push('\n');
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((text.len() as u16).to_le_bytes());
    head.extend(text.into_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of `numpy.save` of `zeros((3, 2), 'f4')` and `zeros(5, 'i8')`, version 2.3, before the numbers.
    #[test]
    fn the_head_is_numpys() {
        let expected = |shape: &str, dtype: &str| {
            let text =
                format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
            [
                b"\x93NUMPY\x01\x00v\x00",
                format!("{text:<117}\n").as_bytes(),
            ]
            .concat()
        };
        assert_eq!(head("<f4", &[3, 2]), expected("(3, 2)", "<f4"));
        assert_eq!(head("<i8", &[5]), expected("(5,)", "<i8"));
    }
}
