//! The paper's results, to be printed beside one's own.

use std::fmt::{self, Write};

use dataset_pack::{Dataset, Split};

use super::submission::is_synset;
use crate::metrics::Score;

/// A result: what it is of, and the top-1 and top-5 errors in percent. What is not known is a dash.
type Row = (&'static str, &'static str, &'static str);

const TEST_2010: (&str, &[Row]) = (
    "ILSVRC-2010 test",
    &[
        ("sparse coding", "47.1", "28.2"),
        ("SIFT + FVs", "45.7", "25.7"),
        ("the paper's net", "37.5", "17.0"),
        ("the paper's net, centre crop", "39.0", "18.3"),
    ],
);

const VAL_2012: (&str, &[Row]) = (
    "ILSVRC-2012 validation",
    &[
        ("one net", "40.7", "18.2"),
        ("five nets", "38.1", "16.4"),
        ("one net, pre-trained on 2011", "39.0", "16.6"),
        ("seven nets, two pre-trained", "36.7", "15.4"),
    ],
);

const FALL_2009: (&str, &[Row]) = (
    "ImageNet, Fall 2009",
    &[("the paper's net", "67.4", "40.9")],
);

/// The paper's results on sets like this one: as many classes, all of them synsets, and of its test sets the split's.
pub fn like(data: &Dataset) -> Option<&'static (&'static str, &'static [Row])> {
    let classes = data.classes();
    if !classes.iter().all(|class| is_synset(&class.name)) {
        return None;
    }
    match (classes.len(), data.split()) {
        (1000, Split::Test) => Some(&TEST_2010),
        (1000, Split::Val) => Some(&VAL_2012),
        (10_184, Split::Val | Split::Test) => Some(&FALL_2009),
        _ => None,
    }
}

/// A table of them, with one's own as the last.
pub fn table((set, rows): &(&str, &[Row]), own: &Score) -> Result<String, fmt::Error> {
    let mut text = String::new();
    writeln!(text, "{set:<30}  top-1 %  top-5 %")?;
    for (name, top1, top5) in *rows {
        writeln!(text, "{name:<30}  {top1:>7}  {top5:>7}")?;
    }
    let (top1, top5) = (100.0 * own.top1_error, 100.0 * own.top5_error);
    writeln!(text, "{:<30}  {top1:>7.1}  {top5:>7.1}", "this")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_row_is_the_last() {
        let own = Score {
            top1_error: 0.4567,
            top5_error: 0.25,
            ..Score::default()
        };
        let text = table(&VAL_2012, &own).expect("writes");
        let last = text.lines().last().expect("lines");
        let words: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(words, ["this", "45.7", "25.0"]);
        let width = last.chars().count();
        assert!(
            text.lines().all(|line| line.chars().count() == width),
            "{text}"
        );
    }
}
