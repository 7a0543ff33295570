//! The page: what the runs came to, section by section.

use anyhow::Result;
use serde::Serialize;
use toml::Value;

use super::curves::{Curves, lines_per_point, rounded};
use super::facts::Facts;
use super::html::Cell::{Number, Text};
use super::html::{self, Row, data_url, escape, percent, table};
use super::trained::Trained;
use crate::formats::training::Change;
use crate::metrics::Norms;

mod predictions;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Errors in %, top-1 and top-5, as the paper prints them.
const PAPER: [(&str, Option<f64>, f64); 11] = [
    ("ILSVRC-2010 test, ten crops", Some(37.5), 17.0),
    ("ILSVRC-2010 test, centre crop", Some(39.0), 18.3),
    ("ILSVRC-2012 validation, one network", Some(40.7), 18.2),
    ("ILSVRC-2012 validation, five networks", Some(38.1), 16.4),
    (
        "ILSVRC-2012 validation, one network, pre-trained on the 2011 release",
        Some(39.0),
        16.6,
    ),
    (
        "ILSVRC-2012 validation, seven networks, two of them pre-trained",
        Some(36.7),
        15.4,
    ),
    ("ILSVRC-2012 test, seven networks", None, 15.3),
    ("ImageNet, release of fall 2009", Some(67.4), 40.9),
    ("Others, ILSVRC-2010: sparse coding", Some(47.1), 28.2),
    (
        "Others, ILSVRC-2010: SIFT and Fisher vectors",
        Some(45.7),
        25.7,
    ),
    ("Others, ILSVRC-2012 test: the second entry", None, 26.2),
];

/// What the script reads.
#[derive(Serialize)]
struct Data<'a> {
    runs: Vec<Curves<'a>>,
    /// Seconds after which the page is read again.
    reload: Option<u64>,
}

/// The whole file; `reload` makes it read itself again after so many seconds.
pub fn page(runs: &[Facts], reload: Option<u64>) -> Result<String> {
    let names: Vec<&str> = runs.iter().map(|run| &*run.name).collect();
    let data = Data {
        runs: runs
            .iter()
            .map(|run| Curves::new(&run.name, &run.lines, &run.config.changes))
            .collect(),
        reload,
    };
    let sections = runs.iter().map(run).collect::<String>() + &differences(runs);
    Ok(html::fill(
        TEMPLATE,
        &[
            ("title", &escape(&format!("Training: {}", names.join(", ")))),
            ("style", STYLE),
            ("overview", &overview(runs)?),
            ("resolution", &resolution(runs)),
            ("paper", &paper(runs)),
            ("runs", &sections),
            ("data", &html::json(&data)?),
            ("script", SCRIPT),
        ],
    ))
}

fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".into())
}

fn time(seconds: f64) -> String {
    match seconds.round() as u64 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

fn overview(runs: &[Facts]) -> Result<String> {
    let row = |run: &Facts| -> Result<Row> {
        let spec = run.config.spec()?;
        let last = run.lines.last();
        let best = run.best();
        let width = run.config.settings.network.width.unwrap_or(1.0);
        Ok(Row::from(vec![
            Text(run.name.clone()),
            Text(format!("{}, width {width}", spec.name)),
            Number(run.config.classes.to_string()),
            Number(last.map_or(0, |line| line.step).to_string()),
            Number(or_dash(last.map(|line| format!("{:.1}", line.epoch)))),
            Number(time(run.seconds()?)),
            Number(or_dash(run.speed().map(|speed| format!("{speed:.1}")))),
            Number(or_dash(run.loss().map(|loss| format!("{loss:.3}")))),
            Number(or_dash(best.map(|line| percent(line.top1_error)))),
            Number(or_dash(best.map(|line| percent(line.top5_error)))),
            Number(or_dash(best.map(|line| line.step.to_string()))),
        ]))
    };
    let heads = [
        "run",
        "network",
        "classes",
        "steps",
        "epochs",
        "time in steps",
        "images/s",
        "loss",
        "best top-1 error",
        "top-5",
        "at step",
    ];
    let rows = runs.iter().map(row).collect::<Result<Vec<_>>>()?;
    let caption = "Speed is the median over the steps, loss the mean of the last 20; the errors are the best \
                   validation's, on centre crops.";
    Ok(table(caption, &heads, &rows))
}

fn resolution(runs: &[Facts]) -> String {
    let lines = runs.iter().map(|run| run.training().count()).max();
    match lines_per_point(lines.unwrap_or(0)) {
        1 => "Faint lines are the steps as measured, strong ones means over neighbours.".into(),
        n => format!(
            "A point of a training curve is the mean of {n} steps or fewer; strong lines are means over neighbours."
        ),
    }
}

fn paper(runs: &[Facts]) -> String {
    let own = runs.iter().filter_map(|run| {
        let best = run.best()?;
        Some(Row {
            class: "own",
            cells: vec![
                Text(format!(
                    "{}: its validation set, {} classes, centre crop",
                    run.name, run.config.classes
                )),
                Number(format!("{:.1}", 100.0 * best.top1_error)),
                Number(format!("{:.1}", 100.0 * best.top5_error)),
            ],
        })
    });
    let printed = PAPER.iter().map(|(what, top1, top5)| {
        let top1 = or_dash(top1.map(|error| format!("{error:.1}")));
        Row::from(vec![
            Text((*what).into()),
            Number(top1),
            Number(format!("{top5:.1}")),
        ])
    });
    let rows: Vec<Row> = own.chain(printed).collect();
    table(
        "Errors in %. Only those on the same images can be compared.",
        &["", "top-1", "top-5"],
        &rows,
    )
}

/// The sections of one run.
fn run(run: &Facts) -> String {
    let trained = match &run.trained {
        Some(trained) => filters(trained) + &tensors(trained),
        None => "<p>There is no checkpoint yet.</p>\n".into(),
    };
    let predictions = match &run.predicted {
        Ok(predicted) => predictions::section(predicted),
        Err(why) => format!("<h3>Predictions</h3>\n<p>{}</p>\n", escape(why)),
    };
    let name = escape(&run.name);
    format!(
        "<section>\n<h2>{name}</h2>\n{trained}{}{predictions}{}</section>\n",
        norms(run),
        configuration(run)
    )
}

fn filters(trained: &Trained) -> String {
    let Some(png) = &trained.filters else {
        return String::new();
    };
    format!(
        "<h3>Filters of the first layer</h3>\n<figure><img class=\"filters\" src=\"{}\" alt=\"The filters of the first \
         layer, a block for each tower\">\n<figcaption>After step {}. A block for each tower, each filter scaled to its \
         own range.</figcaption></figure>\n",
        data_url("png", png),
        trained.step
    )
}

fn tensors(trained: &Trained) -> String {
    let row = |tensor: &super::trained::Spread| {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let number = |value: f64| Number(format!("{value:.4}"));
        Row::from(vec![
            Text(tensor.name.clone()),
            // On one line.
            Text(shape.join("\u{a0}×\u{a0}")),
            number(tensor.mean),
            number(tensor.sigma),
            number(tensor.norm),
            number(tensor.largest),
        ])
    };
    let rows: Vec<Row> = trained.tensors.iter().map(row).collect();
    let heads = [
        "tensor",
        "shape",
        "mean",
        "σ",
        "norm",
        "largest, without sign",
    ];
    let caption = format!("After step {}, both towers joined.", trained.step);
    format!("<h3>Weights</h3>\n{}", table(&caption, &heads, &rows))
}

/// Four digits that count, with an exponent only where zeros would hide them.
fn short(value: f64) -> String {
    match value.abs() {
        size @ 0.01..10_000.0 => {
            let before = size.log10().floor() as i32;
            format!("{value:.*}", (3 - before).max(0) as usize)
        }
        _ => format!("{value:.3e}"),
    }
}

/// The layers' norms when they were first measured and last, if they were.
fn norms(run: &Facts) -> String {
    let mut measured = run.training().filter(|line| !line.layers.is_empty());
    let Some(first) = measured.next() else {
        return String::new();
    };
    let last = measured.next_back().unwrap_or(first);
    let row = |(layer, now): (&String, &Norms)| {
        let number = |value: f64| Number(short(value));
        let before = first.layers.get(layer).map(Norms::update_ratio);
        Row::from(vec![
            Text(layer.clone()),
            number(now.weight),
            number(now.gradient),
            number(now.update),
            number(now.update_ratio()),
            before.map_or(Number("–".into()), number),
        ])
    };
    let rows: Vec<Row> = last.layers.iter().map(row).collect();
    let heads = [
        "layer",
        "weights",
        "gradient",
        "step",
        "step by weights",
        "the same at first",
    ];
    let (first, last) = (first.step, last.step);
    let caption = format!("Euclidean norms at step {last}; measured from step {first} on.");
    format!("<h3>Norms</h3>\n{}", table(&caption, &heads, &rows))
}

fn configuration(run: &Facts) -> String {
    let changed = match &run.changes {
        None => "<p>The network is one of its own; what follows is all of it.</p>\n".into(),
        Some(changes) if changes.is_empty() => {
            "<p>The network is as its preset has it.</p>\n".into()
        }
        Some(changes) => {
            let row = |(key, now, was): &(String, String, String)| {
                Row::from(vec![
                    Text(key.clone()),
                    Text(now.clone()),
                    Text(was.clone()),
                ])
            };
            let rows: Vec<Row> = changes.iter().map(row).collect();
            table(
                "What differs from the network's preset.",
                &["key", "here", "preset"],
                &rows,
            )
        }
    };
    let rows = run
        .keys
        .iter()
        .map(|(key, value)| Row::from(vec![Text(key.clone()), Text(value.clone())]));
    let all = table("", &["key", "value"], &rows.collect::<Vec<_>>());
    format!(
        "{}<h3>Configuration</h3>\n{}{}{changed}<details><summary>All that was in force</summary>\n{all}</details>\n",
        machine(run),
        rates(run),
        changes(run)
    )
}

/// What became another when the run went on.
fn changes(run: &Facts) -> String {
    if run.config.changes.is_empty() {
        return String::new();
    }
    let shown = |value: &Option<Value>| Text(or_dash(value.as_ref().map(Value::to_string)));
    let row = |change: &Change| {
        Row::from(vec![
            Number((change.step + 1).to_string()),
            Text(change.key.clone()),
            shown(&change.was),
            shown(&change.now),
        ])
    };
    let rows: Vec<Row> = run.config.changes.iter().map(row).collect();
    let caption = "What was changed when the run went on; dashed lines in the curves.";
    let heads = ["from step", "key", "was", "is since"];
    table(caption, &heads, &rows)
}

fn machine(run: &Facts) -> String {
    let Some(machine) = &run.config.machine else {
        return String::new();
    };
    format!(
        "<h3>Machine</h3>\n<dl><dt>processor</dt><dd>{}</dd><dt>threads</dt><dd>{}</dd><dt>kernels for</dt><dd>{}</dd>\
         <dt>towers on</dt><dd>{}</dd><dt>program</dt><dd>{}</dd></dl>\n",
        escape(&machine.cpu),
        machine.cores,
        escape(&machine.instruction_set),
        escape(&machine.devices.join("; ")),
        escape(&run.config.program)
    )
}

/// At which steps the learning rate became another.
fn rates(run: &Facts) -> String {
    let mut changes: Vec<(u64, f64)> = Vec::new();
    for line in run.training() {
        let lr = rounded(line.lr).unwrap_or(line.lr);
        if changes.last().is_none_or(|(_, rate)| *rate != lr) {
            changes.push((line.step, lr));
        }
    }
    // A rate that falls at every step is seen in its curve.
    if !(1..=20).contains(&changes.len()) {
        return String::new();
    }
    let shown = changes
        .iter()
        .map(|(step, rate)| format!("{rate} from step {step}"));
    format!(
        "<p>Learning rate: {}.</p>\n",
        shown.collect::<Vec<_>>().join(", ")
    )
}

/// The keys that are not the same in all runs.
fn differences(runs: &[Facts]) -> String {
    if runs.len() < 2 {
        return String::new();
    }
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in runs.iter().flat_map(|run| &run.keys) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |run: &Facts, key: &str| {
        let found = run.keys.iter().find(|(other, _)| other == key);
        or_dash(found.map(|(_, value)| value.clone()))
    };
    let rows = keys.into_iter().filter_map(|key| {
        let values: Vec<String> = runs.iter().map(|run| value(run, key)).collect();
        let differ = values.iter().any(|value| *value != values[0]);
        let cells = [key.clone()].into_iter().chain(values).map(Text);
        differ.then(|| Row::from(cells.collect::<Vec<_>>()))
    });
    let rows: Vec<Row> = rows.collect();
    let heads: Vec<&str> = ["key"]
        .into_iter()
        .chain(runs.iter().map(|run| &*run.name))
        .collect();
    format!(
        "<section>\n<h2>What differs between the runs</h2>\n{}</section>\n",
        table("", &heads, &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_count() {
        let shown = [3.4461, -0.043601, 1234.56, 0.0017071, 20000.0].map(short);
        assert_eq!(shown, ["3.446", "-0.04360", "1235", "1.707e-3", "2.000e4"]);
    }
}
