//! What `build` makes of good sources.

mod common;

use std::fs;

use common::{draw, files, folder, one_line, pack, packed, pixels_of, source_of};
use dataset_pack::{Dataset, Split, extract, load_image, verify};
use proptest::prelude::*;

#[test]
fn the_bytes_are_the_same_for_any_number_of_jobs() {
    let dir = folder();
    let source = dir.path().join("source");
    draw(&source);
    let sets = [1, 2, 4].map(|jobs| {
        let out = dir.path().join(format!("jobs-{jobs}"));
        pack(&source, &out, |o| o.jobs = jobs).expect("packs");
        out
    });
    let names = files(&sets[0]);
    assert_eq!(
        names.len(),
        3 + 2,
        "three shards, index and mean: {names:?}"
    );
    for set in &sets[1..] {
        assert_eq!(files(set), names);
        for name in &names {
            let same = fs::read(sets[0].join(name)).ok() == fs::read(set.join(name)).ok();
            assert!(same, "{name} differs");
        }
    }
}

#[test]
fn every_image_is_there_once_with_its_label_and_pixels() {
    let dir = packed();
    let set = Dataset::open(dir.path().join("set")).expect("opens");
    assert_eq!(
        (set.len(), set.size(), set.shards(), set.split()),
        (12, 32, 3, Split::Train)
    );
    let names: Vec<&str> = set.classes().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["0-disc-plain", "1-square-plain", "2-triangle-plain"]
    );
    let mut sources = Vec::new();
    for index in 0..set.len() {
        let source = set.source(index).expect("a source");
        let class = &set.classes()[set.label(index) as usize];
        assert!(
            source.starts_with(&format!("{}/", class.name)),
            "{source} in {}",
            class.name
        );
        let pixels = load_image(dir.path().join("source").join(&source), 32, set.resize());
        assert_eq!(pixels_of(&set, index), pixels.expect("decodes"));
        sources.push(source);
    }
    let in_order = sources.clone();
    sources.sort();
    assert_ne!(in_order, sources, "shuffled");
    sources.dedup();
    assert_eq!(sources.len(), 12);
    assert!(set.classes().iter().all(|c| c.images == 4));
}

#[test]
fn mean_and_covariance_are_those_of_a_plain_computation() {
    let dir = packed();
    let set = Dataset::open(dir.path().join("set")).expect("opens");
    let images: Vec<Vec<u8>> = (0..set.len()).map(|i| pixels_of(&set, i)).collect();
    let mean = set.mean().expect("a training set has a mean");
    for (at, &value) in mean.iter().enumerate() {
        let sum: f64 = images.iter().map(|image| f64::from(image[at])).sum();
        assert!((f64::from(value) - sum / images.len() as f64).abs() < 1e-5);
    }
    let pixels = || images.iter().flat_map(|image| image.as_chunks::<3>().0);
    let n = pixels().count() as f64;
    let means = [0, 1, 2].map(|c| pixels().map(|p| f64::from(p[c])).sum::<f64>() / n);
    let covariance = set.covariance().expect("a training set has a covariance");
    for (i, row) in covariance.iter().enumerate() {
        for (j, &value) in row.iter().enumerate() {
            let about_mean = |p: &[u8; 3], c: usize| f64::from(p[c]) - means[c];
            let sum: f64 = pixels().map(|p| about_mean(p, i) * about_mean(p, j)).sum();
            assert!((value - sum / n).abs() < 1e-8 * covariance[0][0], "{i} {j}");
        }
    }
    let total: f64 = set
        .principal_components()
        .expect("components")
        .eigenvalues
        .iter()
        .sum();
    assert!((total - (0..3).map(|i| covariance[i][i]).sum::<f64>()).abs() < 1e-8);
}

#[test]
fn a_share_of_every_class_is_held_out() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    let built = pack(&source, &out, |o| o.val_fraction = Some(0.25)).expect("packs");
    assert_eq!(
        built.iter().map(|b| b.counts.packed).collect::<Vec<_>>(),
        [9, 3]
    );
    let [train, val] = ["train", "val"].map(|s| Dataset::open(out.join(s)).expect("opens"));
    assert_eq!((train.split(), val.split()), (Split::Train, Split::Val));
    assert!(val.classes().iter().all(|class| class.images == 1));
    assert!(val.mean().is_none() && val.covariance().is_none());
    let names = |set: &Dataset| {
        set.classes()
            .iter()
            .map(|c| c.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&train), names(&val));
    for v in 0..val.len() {
        assert!((0..train.len()).all(|t| source_of(&train, t) != source_of(&val, v)));
    }
}

#[test]
fn a_class_list_gives_the_labels() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    let list = dir.path().join("classes.txt");
    fs::write(
        &list,
        "2-triangle-plain\nabsent\r\n0-disc-plain\n\n1-square-plain\n",
    )
    .expect("writes");
    pack(&source, &out, |o| o.labels = Some(list.clone())).expect("packs");
    let set = Dataset::open(&out).expect("opens");
    assert_eq!(
        set.classes().iter().map(|c| c.images).collect::<Vec<_>>(),
        [4, 0, 4, 4]
    );
    assert_eq!(set.classes()[2].name, "0-disc-plain");
    assert!(
        verify(&out, &|_, _| {})
            .expect("verifies")
            .problems
            .is_empty()
    );

    fs::write(&list, "0-disc-plain\n1-square-plain\n").expect("writes");
    let error = pack(&source, &dir.path().join("x"), |o| {
        o.labels = Some(list.clone())
    });
    let text = one_line(&error.expect_err("a folder is not in the list"));
    assert!(
        text.contains("2-triangle-plain") && text.contains("not in the class list"),
        "{text}"
    );
    fs::write(&list, "a\nb\na\n").expect("writes");
    let error = pack(&source, &dir.path().join("x"), |o| {
        o.labels = Some(list.clone())
    });
    let text = one_line(&error.expect_err("a name is there twice"));
    assert!(
        text.contains("classes.txt") && text.contains("line 3"),
        "{text}"
    );
}

#[test]
fn nested_folders_links_and_other_files_are_understood() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    let class = source.join("0-disc-plain");
    fs::create_dir_all(class.join("deep/er")).expect("makes folders");
    // An image without an image's name, deep down; a link; and what is none.
    fs::rename(class.join("00000.jpg"), class.join("deep/er/photo")).expect("moves");
    std::os::unix::fs::symlink("00001.jpg", class.join("link.jpg")).expect("links");
    for other in ["notes.txt", "sound.ogg", "drawing.svg", "empty"] {
        fs::write(
            class.join(other),
            if other == "empty" { "" } else { "text" },
        )
        .expect("writes");
    }
    fs::create_dir(source.join("no-images")).expect("makes a folder");
    fs::write(source.join("README"), "about").expect("writes");
    let built = pack(&source, &out, |o| o.max_bad = 0).expect("packs");
    let counts = built[0].counts;
    assert_eq!((counts.packed, counts.rejected, counts.skipped), (13, 0, 5));
    let set = Dataset::open(&out).expect("opens");
    // An empty folder is a class of which images are still to come.
    assert_eq!(set.classes().len(), 4);
    assert_eq!(
        (set.classes()[3].name.as_str(), set.classes()[3].images),
        ("no-images", 0)
    );
    assert!((0..set.len()).any(|i| source_of(&set, i) == "0-disc-plain/deep/er/photo"));
}

#[test]
fn an_extracted_set_packs_to_the_same_images() {
    let dir = packed();
    let images = dir.path().join("images");
    let first = Dataset::open(dir.path().join("set")).expect("opens");
    extract(&first, &images, &|_| {}).expect("extracts");
    pack(&images, &dir.path().join("again"), |_| {}).expect("packs");
    let again = Dataset::open(dir.path().join("again")).expect("opens");
    assert_eq!(again.classes(), first.classes());
    for index in 0..again.len() {
        let source = source_of(&again, index);
        let source = source.strip_suffix(".png").expect("a PNG");
        let old = (0..first.len())
            .find(|&i| source_of(&first, i) == source)
            .expect("it was there");
        assert_eq!(pixels_of(&again, index), pixels_of(&first, old));
        assert_eq!(again.label(index), first.label(old));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any size, shard length and number of images comes back as it was, and verifies.
    #[test]
    fn round_trip(size in 1u32..20, shard_images in 1usize..6, images in 1usize..9, seed: u64) {
        let dir = folder();
        let (source, out) = (dir.path().join("source"), dir.path().join("out"));
        fs::create_dir_all(source.join("ä class")).expect("makes a folder");
        for number in 0..images {
            let pixels = image::RgbImage::from_fn(size, size, |x, y| {
                image::Rgb([number as u8, (x * 13) as u8, (y * 17) as u8])
            });
            pixels.save(source.join(format!("ä class/{number}.png"))).expect("saves");
        }
        pack(&source, &out, |o| {
            (o.size, o.shard_images, o.seed) = (size, shard_images, seed);
        }).expect("packs");
        let set = Dataset::open(&out).expect("opens");
        prop_assert_eq!((set.len(), set.shards()), (images, images.div_ceil(shard_images)));
        let mut seen = vec![false; images];
        for index in 0..set.len() {
            let number = usize::from(pixels_of(&set, index)[0]);
            seen[number] = true;
            prop_assert_eq!(source_of(&set, index), format!("ä class/{number}.png"));
            for (at, pixel) in pixels_of(&set, index).as_chunks::<3>().0.iter().enumerate() {
                let (x, y) = (at % size as usize, at / size as usize);
                prop_assert_eq!(*pixel, [number as u8, (x * 13) as u8, (y * 17) as u8]);
            }
        }
        prop_assert!(seen.into_iter().all(|s| s));
        let found = verify(&out, &|_, _| {}).expect("verifies");
        prop_assert!(found.problems.is_empty());
    }
}
