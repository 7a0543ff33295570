//! Work that is stopped anywhere and begun again, parted and joined, damaged and repaired, ends in
//! the same bytes.
#![allow(clippy::print_stdout)]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{change, contents, draw, files, folder, lay_out, one_line, pack, packed, run, text};
use dataset_pack::{
    Dataset, Part, RepairOptions, SynthLayout, merge, rebuild_index, repair, verify,
};
use rand::{RngExt, SeedableRng};

fn start(source: &Path, out: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dataset-pack"));
    command.args([
        "build",
        "--source",
        text(source),
        "--out",
        text(out),
        "--jobs",
        "2",
    ]);
    command.args(["--size", "64", "--shard-images", "3", "--damaged", "keep"]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

/// Builds of a set with odd files, killed at random moments. After each, what stands under a final
/// name must be what an undisturbed build puts there. `DATASET_PACK_KILLS` says how many.
#[test]
fn a_build_killed_anywhere_goes_on_to_the_same_bytes() {
    let kills = std::env::var("DATASET_PACK_KILLS")
        .ok()
        .map(|n| n.parse().expect("a number"));
    let kills = kills.unwrap_or(100);
    let dir = folder();
    let (source, whole) = (dir.path().join("source"), dir.path().join("whole"));
    lay_out(&source, SynthLayout::Archives, true);
    let began = std::time::Instant::now();
    assert!(start(&source, &whole).wait().expect("ends").success());
    let mut takes = began.elapsed();
    let expected = contents(&whole);
    assert!(expected.len() > 10, "shards, index, mean, report");

    let out = dir.path().join("out");
    let mut rng = rand::rngs::ChaCha8Rng::seed_from_u64(kills);
    let (mut killed, mut finished, mut most) = (0, 0, 0);
    while killed < kills {
        let mut build = start(&source, &out);
        std::thread::sleep(takes.mul_f64(rng.random_range(0.0..1.0)));
        build.kill().expect("kills");
        let status = build.wait().expect("ends");
        if status.signal().is_some() {
            killed += 1;
            takes = takes.mul_f64(1.05);
        } else {
            takes = takes.mul_f64(0.8);
            assert!(status.success(), "{status}");
        }
        let there = if out.exists() {
            contents(&out)
        } else {
            Vec::new()
        };
        let there: Vec<_> = there
            .into_iter()
            .filter(|(name, _)| !name.ends_with(".tmp"))
            .collect();
        assert!(
            there.iter().all(|file| expected.contains(file)),
            "after {killed} kills"
        );
        most = most.max(there.len());
        if there.iter().any(|(name, _)| name == "index.json") {
            assert_eq!(there.len(), expected.len(), "an index of an unfinished set");
        }
        if status.success() {
            assert!(contents(&out) == expected);
            finished += 1;
            fs::remove_dir_all(&out).expect("removes");
        }
    }
    assert!(
        most > 1,
        "every build was killed before it had done anything"
    );
    assert!(start(&source, &out).wait().expect("ends").success());
    assert!(contents(&out) == expected);
    println!(
        "{killed} kills in {:?}, {finished} builds finished between them",
        began.elapsed()
    );
}

#[test]
fn finished_shards_are_taken_over() {
    let dir = packed();
    let (source, set) = (dir.path().join("source"), dir.path().join("set"));
    let expected = contents(&set);
    let modified = |name: &str| {
        fs::metadata(set.join(name))
            .and_then(|m| m.modified())
            .expect("times")
    };
    let before = modified("shard-00001.bin");
    for name in ["index.json", "mean.f32", "shard-00002.bin"] {
        fs::remove_file(set.join(name)).expect("removes");
    }
    fs::write(set.join("shard-00002.bin.x1.tmp"), "half").expect("writes");
    change(&set.join("shard-00000.bin"), |bytes| bytes.truncate(5000));
    std::thread::sleep(Duration::from_millis(20));
    pack(&source, &set, |_| {}).expect("goes on");
    assert!(contents(&set) == expected);
    assert_eq!(
        modified("shard-00001.bin"),
        before,
        "a whole shard was packed again"
    );
}

#[test]
fn other_options_or_another_source_do_not_mix() {
    let dir = packed();
    let (source, set) = (dir.path().join("source"), dir.path().join("set"));
    fs::remove_file(set.join("index.json")).expect("removes");
    let left = contents(&set);
    for change in [
        (|o| o.seed = 3) as fn(&mut dataset_pack::BuildOptions),
        |o| o.size = 16,
        |o| o.shard_images = 4,
        |o| o.resize = dataset_pack::Resize::Area2012,
        |o| o.damaged = dataset_pack::Damaged::Keep,
        |o| o.max_decoded_bytes += 1,
        |o| o.split = dataset_pack::Split::Val,
    ] {
        let line = one_line(&pack(&source, &set, change).expect_err("refused"));
        assert!(
            line.contains("shard-00000.bin: a shard of other images or options"),
            "{line}"
        );
    }
    fs::write(source.join("0-disc-plain/00003.jpg"), "another length").expect("writes");
    let line = one_line(&pack(&source, &set, |_| {}).expect_err("refused"));
    assert!(line.contains("other images or options"), "{line}");
    assert!(contents(&set) == left);
}

#[test]
fn parts_join_to_the_same_bytes() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("source"), SynthLayout::Archives, true);
    let options = |o: &mut dataset_pack::BuildOptions| o.shard_images = 4;
    pack(&at("source"), &at("whole"), options).expect("packs");
    let expected = contents(&at("whole"));
    let mut parts: Vec<PathBuf> = Vec::new();
    for index in 0..3 {
        let out = at(&format!("part-{index}"));
        let built = pack(&at("source"), &out, |o| {
            options(o);
            (o.part, o.jobs) = (Part { index, count: 3 }, 1 + index as usize);
        });
        let built = &built.expect("packs")[0];
        assert_eq!(built.part, Some(Part { index, count: 3 }));
        assert_eq!(
            built.counts.packed + built.counts.rejected,
            4 * built.shards as u64 - if index == 1 { 2 } else { 0 }
        );
        assert!(Dataset::open(&out).is_err(), "a part is no set");
        parts.push(out);
    }
    let line = one_line(&merge(&parts[..2], at("joined"), &|_| {}).expect_err("one is missing"));
    assert!(
        line.contains("2 of 8 shards are in no part, the first is 2"),
        "{line}"
    );
    let counts = merge(&parts, at("joined"), &|_| {}).expect("joins");
    assert_eq!(counts.packed, 25);
    assert!(contents(&at("joined")) == expected);
    let line = one_line(&merge(&parts, at("joined"), &|_| {}).expect_err("is there"));
    assert!(line.contains("already holds a finished set"), "{line}");

    // A part of something else, and one that is damaged.
    pack(&at("source"), &at("other"), |o| {
        options(o);
        (o.seed, o.part) = (9, Part { index: 2, count: 3 });
    })
    .expect("packs");
    let mixed = [&parts[..2], &[at("other")]].concat();
    let line = one_line(&merge(&mixed, at("mixed"), &|_| {}).expect_err("mixed"));
    assert!(line.contains("belongs to another set"), "{line}");
    // The set has links to the parts' files, so a new file takes its place.
    let first = parts[0].join("shard-00000.bin");
    let mut bytes = fs::read(&first).expect("reads");
    bytes.truncate(9000);
    fs::remove_file(&first).expect("removes");
    fs::write(&first, bytes).expect("writes");
    let line = one_line(&merge(&parts, at("again"), &|_| {}).expect_err("damaged"));
    assert!(line.contains("shard-00000.bin: cut short"), "{line}");
    assert!(contents(&at("joined")) == expected);
}

#[test]
fn a_lost_index_is_written_again() {
    let dir = packed();
    let set = dir.path().join("set");
    let expected = contents(&set);
    fs::remove_file(set.join("mean.f32")).expect("removes");
    change(&set.join("index.json"), |bytes| bytes.truncate(300));
    rebuild_index(&set).expect("rebuilds");
    assert!(contents(&set) == expected);
    fs::remove_file(set.join("shard-00001.bin")).expect("removes");
    let line = one_line(&rebuild_index(&set).expect_err("a shard is missing"));
    assert!(
        line.contains("shard-00001.bin: cannot open: No such file"),
        "{line}"
    );
    let (status, _, stderr) = run(&["rebuild-index", text(&dir.path().join("source"))]);
    assert!(status == 1 && stderr.contains("no shards"), "{stderr}");
}

#[test]
fn damage_is_repaired_from_the_source() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    lay_out(&at("i"), SynthLayout::Ilsvrc2012, true);
    let sets: [(&str, &str, Option<PathBuf>); 2] = [
        ("train", "i/ILSVRC2012_img_train.tar", None),
        (
            "val",
            "i/ILSVRC2012_img_val.tar",
            Some(at("i/ILSVRC2012_devkit_t12")),
        ),
    ];
    for (name, source, truth) in sets {
        let set = at(name);
        pack(&at(source), &set, |o| {
            (o.truth, o.seed, o.shard_images) = (truth.clone(), 4, 3);
            o.split = if name == "val" {
                dataset_pack::Split::Val
            } else {
                o.split
            };
        })
        .expect("packs");
        let expected = contents(&set);
        let damages: [fn(&Path); 5] = [
            |set| change(&set.join("shard-00001.bin"), |b| b[6000] ^= 1),
            |set| change(&set.join("shard-00000.bin"), |b| b[50] ^= 1),
            |set| fs::remove_file(set.join("shard-00001.bin")).expect("removes"),
            |set| change(&set.join("index.json"), |b| b[100] ^= 1),
            |set| {
                fs::remove_file(set.join("index.json")).expect("removes");
                change(&set.join("shard-00000.bin"), |b| b[7000] ^= 1);
            },
        ];
        for damage in damages {
            damage(&set);
            let found = verify(&set, &|_, _| {});
            assert!(found.is_err() || !found.expect("verifies").problems.is_empty());
            let source = at(source);
            let mut options = RepairOptions {
                set: set.clone(),
                source,
                truth: truth.clone(),
                jobs: 2,
            };
            repair(&options, &|_| {}, &|_, _| {}).expect("repairs");
            assert!(contents(&set) == expected, "{:?}", files(&set));
            assert!(
                repair(&options, &|_| {}, &|_, _| {})
                    .expect("is whole")
                    .is_empty()
            );

            // Another source cannot repair it, and makes nothing worse.
            change(&set.join("shard-00000.bin"), |b| b[6000] ^= 1);
            let damaged = contents(&set);
            draw(&at("other"));
            options.source = at("other");
            options.truth = None;
            assert!(repair(&options, &|_| {}, &|_, _| {}).is_err());
            assert!(contents(&set) == damaged);
            fs::remove_dir_all(at("other")).expect("removes");
            change(&set.join("shard-00000.bin"), |b| b[6000] ^= 1);
        }
    }
    let (set, source) = (at("train"), at("i/ILSVRC2012_img_train.tar"));
    change(&set.join("shard-00001.bin"), |b| b[6000] ^= 1);
    let arguments = ["verify", text(&set), "--repair", "--source", text(&source)];
    let (status, stdout, stderr) = run(&arguments);
    assert!(
        status == 0 && stdout.contains("whole: "),
        "{stdout}{stderr}"
    );
    assert!(stderr.contains("packed shard 1 again"), "{stderr}");
}

#[test]
fn two_builds_into_one_folder_do_not_meet() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    fs::create_dir(&out).expect("makes a folder");
    let held = fs::File::open(&out).expect("opens");
    held.lock().expect("locks");
    let line = one_line(&pack(&source, &out, |_| {}).expect_err("is locked"));
    assert!(
        line.contains("out: another dataset-pack is writing into this folder"),
        "{line}"
    );
    drop(held);
    pack(&source, &out, |_| {}).expect("packs");
    // Many at once: each ends well or says that another is at work.
    let out = dir.path().join("many");
    let builds: Vec<Child> = (0..4).map(|_| start(&source, &out)).collect();
    let ended = builds
        .into_iter()
        .map(|mut build| build.wait().expect("ends"));
    assert!(ended.filter(|status| status.success()).count() >= 1);
    assert!(
        verify(&out, &|_, _| {})
            .expect("verifies")
            .problems
            .is_empty()
    );
}

#[test]
fn a_source_that_vanishes_ends_the_build_and_leaves_no_gap() {
    let dir = folder();
    let (source, out) = (dir.path().join("source"), dir.path().join("out"));
    draw(&source);
    let whole = dir.path().join("whole");
    pack(&source, &whole, |_| {}).expect("packs");
    let away = dir.path().join("away");
    // While the second shard is packed, a file is there no more; or is another.
    type Trouble<'a> = &'a (dyn Fn(&Path) + Sync);
    let troubles: [(Trouble, &str); 2] = [
        (
            &|path| fs::rename(path, &away).expect("moves"),
            "cannot read: No such file",
        ),
        (
            &|path| {
                fs::copy(path, &away).expect("copies");
                change(path, |bytes| bytes.push(0));
            },
            "its length has changed",
        ),
    ];
    let last = {
        let set = Dataset::open(&whole).expect("opens");
        source.join(common::source_of(&set, set.len() - 1))
    };
    for (trouble, cause) in troubles {
        let mut options = dataset_pack::BuildOptions::new(&source, &out);
        (options.size, options.shard_images, options.jobs) = (32, 5, 1);
        let error = dataset_pack::build(&options, &|event| {
            if matches!(event, dataset_pack::Event::Begin { .. }) {
                trouble(&last);
            }
        });
        let line = one_line(&error.expect_err("a file is missing"));
        assert!(line.contains(text(&last)) && line.contains(cause), "{line}");
        assert!(
            files(&out).iter().all(|name| !name.ends_with(".tmp")),
            "{:?}",
            files(&out)
        );
        assert!(Dataset::open(&out).is_err());
        fs::rename(&away, &last).expect("moves back");
        pack(&source, &out, |_| {}).expect("goes on");
        assert!(contents(&out) == contents(&whole));
        fs::remove_dir_all(&out).expect("removes");
    }
}
