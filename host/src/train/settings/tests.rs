use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

fn settings(options: &str) -> Settings {
    let line = format!("train --data d --out o {options}");
    Line::try_parse_from(line.split_whitespace())
        .unwrap()
        .settings
}

#[test]
fn what_is_not_given_is_none() {
    let settings = settings("");
    let given = to_map(&settings).unwrap();
    assert_eq!(given.keys().collect::<Vec<_>>(), ["data"]);
    assert!(settings.changes().unwrap().is_empty() && settings.network.net.is_none());
    assert!(!settings.resume && !settings.other_data);
    assert_eq!(settings.kept().unwrap(), Kept::default());
}

#[test]
fn defaults_are_the_documented_ones() {
    let kept = Kept {
        width: 1.0,
        seed: 0,
        augment: Augment::Paper,
        order: Order::Shuffled,
        shares: 1,
    };
    assert_eq!(Kept::default(), kept);
}

#[test]
fn all_that_a_run_keeps_can_be_given() {
    let options =
        "--width 0.25 --seed 18446744073709551614 --augment crop --order sequential --shares 4";
    let kept = settings(options).kept().unwrap();
    let expected = Kept {
        width: 0.25,
        seed: u64::MAX - 1,
        augment: Augment::Crop,
        order: Order::Sequential,
        shares: 4,
    };
    assert_eq!(kept, expected);
    // Each is an option and a key of `config.toml`, or a wrong value would be accepted when a run goes on.
    let options = to_map(&settings(options)).unwrap();
    for (key, value) in to_map(&kept).unwrap() {
        assert_eq!(options.get(&key), Some(&value), "{key}");
    }
}

#[test]
fn a_run_goes_on_as_it_was_or_not_at_all() {
    let kept = settings("--width 0.25 --seed 7 --order sequential")
        .kept()
        .unwrap();
    for same in [
        "",
        "--width 0.25 --seed 7",
        "--augment paper --order sequential",
    ] {
        settings(same).check(&kept).unwrap();
    }
    for (other, told) in [
        ("--width 1", "--width 1.0: the run has 0.25"),
        ("--seed 0", "--seed 0: the run has 7"),
        ("--augment none", "--augment none: the run has paper"),
        (
            "--order shuffled",
            "--order shuffled: the run has sequential",
        ),
    ] {
        let error = settings(other).check(&kept).unwrap_err();
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn what_a_run_keeps_is_filled_in() {
    let kept = settings("--width 0.25 --seed 7").kept().unwrap();
    let filled = settings("--steps 3 --gpus cpu,1").filled(&kept).unwrap();
    assert_eq!((filled.network.width, filled.seed), (Some(0.25), Some(7)));
    assert_eq!(
        (filled.augment, filled.order),
        (Some(Augment::Paper), Some(Order::Shuffled))
    );
    assert_eq!((filled.steps, filled.keep), (Some(3), None));
    assert_eq!(filled.places, settings("--gpus cpu,1").places);
}

#[test]
fn options_become_overrides_and_set_has_the_last_word() {
    let load = |options: &str| {
        let settings = settings(options);
        settings.network.load(&settings.changes()?)
    };
    let options = "--batch 32 --epochs 3 --lr 1e-7 --schedule step:1,2 --dropout 0.25 --set train.batch=64 \
                   --set conv2.bias=0.1";
    let spec = load(options).unwrap();
    assert_eq!(
        (spec.train.batch, spec.train.epochs, spec.train.lr),
        (64, 3, 1e-7)
    );
    assert_eq!(spec.train.schedule, Rule::Step(vec![1, 2]));
    assert!(spec.to_toml().contains("p = 0.25") && !spec.to_toml().contains("p = 0.5"));
    // A whole number is a rate too.
    assert_eq!(load("--lr 1").unwrap().train.lr, 1.0);
    assert!(load("--lr nan").unwrap_err().to_string().contains("lr"));
}
