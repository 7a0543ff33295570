use super::*;

pub(super) fn description(rows: usize, width: usize, half: bool) -> Description {
    Description {
        checkpoint: "c".into(),
        checkpoint_hash: "1".into(),
        data: "d".into(),
        set: "2".into(),
        layer: "fc7".into(),
        rows,
        width,
        half,
    }
}

/// Numbers like those behind a ReLU: half of them zero.
pub(super) fn features(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next().max(0.0) * 9.0).collect()
}

fn written(path: &Path, d: &Description, features: &[f32]) -> Index {
    let mut writer = Writer::open(path, d).unwrap();
    writer.write(0, features).unwrap();
    writer.publish().unwrap();
    Index::open(path).unwrap()
}

/// Against every distance computed plainly, for rows that crowd so that codes alone mistake their order.
#[test]
fn the_nearest_are_those_of_a_plain_search() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, width) = (700, 130);
    for half in [false, true] {
        let centre = features(width, 5);
        let noise = features(rows * width, 1);
        let numbers: Vec<f32> = (0..rows * width)
            .map(|i| centre[i % width] + noise[i] * 1e-3)
            .collect();
        let index = written(
            &dir.path().join("i"),
            &description(rows, width, half),
            &numbers,
        );
        for row in [0, 17, 699] {
            let query = &numbers[row * width..][..width];
            let plain = |other: usize| {
                let squares = index.features(other).unwrap().into_iter().zip(query);
                squares
                    .map(|(a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                    .sum::<f64>()
                    .sqrt()
            };
            let mut all: Vec<(f64, usize)> = (0..rows)
                .filter(|&o| o != row)
                .map(|o| (plain(o), o))
                .collect();
            all.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let found = index.nearest(query, 6, Some(row)).unwrap();
            let expected: Vec<usize> = all.iter().take(6).map(|one| one.1).collect();
            assert_eq!(
                found.iter().map(|one| one.row).collect::<Vec<_>>(),
                expected
            );
            assert!((found[5].distance - all[5].0).abs() < 1e-12);
        }
        assert_eq!(index.nearest(&centre, 9999, None).unwrap().len(), rows);
        assert!(index.nearest(&centre, 0, None).unwrap().is_empty());
    }
}

#[test]
fn what_was_begun_is_gone_on_with_unless_it_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let (path, d) = (dir.path().join("i"), description(5, 8, false));
    let numbers = features(40, 3);
    let mut writer = Writer::open(&path, &d).unwrap();
    writer.write(0, &numbers[..24]).unwrap();
    writer.sync().unwrap();
    drop(writer);
    assert!(!path.exists());
    let other = Description {
        checkpoint_hash: "3".into(),
        ..d.clone()
    };
    let mut writer = Writer::open(&path, &d).unwrap();
    assert_eq!(writer.done(), 3);
    writer.write(3, &numbers[24..]).unwrap();
    writer.publish().unwrap();
    assert_eq!(
        Index::open(&path).unwrap().features(4).unwrap(),
        numbers[32..]
    );
    let whole = std::fs::read(&path).unwrap();
    let again = dir.path().join("j");
    written(&again, &d, &numbers);
    assert!(std::fs::read(&again).unwrap() == whole);

    let mut writer = Writer::open(&path, &d).unwrap();
    writer.write(0, &numbers[..8]).unwrap();
    writer.sync().unwrap();
    drop(writer);
    assert_eq!(Writer::open(&path, &other).unwrap().done(), 0);
}

#[test]
fn damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i");
    written(&path, &description(3, 8, true), &features(24, 3));
    let whole = std::fs::read(&path).unwrap();
    let told = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        format!("{:#}", Index::open(&path).err().unwrap())
    };
    for (cause, change) in [
        (
            "not an index of features",
            &(|b: &mut Vec<u8>| b.truncate(90)) as &dyn Fn(&mut Vec<u8>),
        ),
        ("not an index of features", &|b| b[0] = 0),
        ("it is of an earlier version", &|b| b[7] = b'1'),
        ("does not match its checksum", &|b| b[40] ^= 1),
        ("does not match its checksum", &|b| b[16..20].fill(255)),
        ("it is not finished", &|b| b[8] = 2),
        ("bytes where its description wants", &|b| b.truncate(4250)),
    ] {
        let error = told(change);
        assert!(error.contains(cause) && error.contains("/i: "), "{error}");
    }
    let huge = Description {
        rows: usize::MAX / 4,
        ..description(1, 8, false)
    };
    let error = told(&|b| {
        *b = huge.head().unwrap();
        b[8..16].copy_from_slice(&(huge.rows as u64).to_le_bytes());
    });
    assert!(error.contains("asks for too much"), "{error}");
}

/// Codes and what is known of them when a search goes over them, features when they are compared or asked for.
#[test]
fn a_flipped_bit_is_told_by_whoever_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i");
    let numbers = features(40 * 8, 3);
    let d = description(40, 8, true);
    written(&path, &d, &numbers);
    let (whole, layout) = (std::fs::read(&path).unwrap(), d.layout().unwrap());
    let query = &numbers[7 * 8..8 * 8];
    let search = |at: usize, count| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        let index = Index::open(&path).unwrap();
        let found = index.nearest(query, count, None);
        found.map_err(|error| format!("{error:#}"))
    };
    let note = layout.notes + 7 * size_of::<Note>();
    for at in [HEAD + 7 * 8, note, note + 4, note + 8, note + 16] {
        let error = search(at, 1).unwrap_err();
        assert!(
            error.contains("/i: the codes of image 7 do not match"),
            "{at}: {error}"
        );
    }
    for at in [layout.features + 7 * 16 + 3, note + 20] {
        let error = search(at, 1).unwrap_err();
        assert!(
            error.contains("the features of image 7 do not match"),
            "{at}: {error}"
        );
        let index = Index::open(&path).unwrap();
        assert!(index.features(7).is_err() && index.features(8).is_ok());
    }
}

#[test]
fn features_that_are_no_numbers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&dir.path().join("i"), &description(2, 1, true)).unwrap();
    let error = writer.write(0, &[1.0, 1e6]).unwrap_err().to_string();
    assert_eq!(error, "image 1: features that are not finite");
}
