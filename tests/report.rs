//! The page that `host report` writes, by its text and in a browser, and a run that is watched.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Folder, Running, bytes, files, host, pack, path, program, run, train_tiny};

/// A class and a run whose names would be markup.
const CLASS: &str = "<img src=x onerror=\"document.title='taken'\"> & {{title}}";
const RUN: &str = "a <b>run<!--";

/// Data of three classes, and the runs `RUN` with a validation set and `plain` without.
static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let dir = common::sets(3, 24, 64);
    let at = |name: &str| path(dir.path(), name);
    let first = files(&dir.path().join("drawn"))[0].clone();
    let class = dir.path().join("drawn").join(CLASS);
    fs::rename(dir.path().join("drawn").join(first), class).expect("a class's name");
    fs::remove_dir_all(dir.path().join("sets")).expect("the sets are packed again");
    let (drawn, sets) = (at("drawn"), at("sets"));
    pack([
        "build",
        "--source",
        &drawn,
        "--out",
        &sets,
        "--size",
        "64",
        "--val-fraction",
        "0.25",
    ])
    .ok();
    let val = at("sets/val");
    let options = [
        "--val",
        &val,
        "--validate-every",
        "5",
        "--lr",
        "0.00001",
        "--schedule",
        "step:4",
        "--norms-every",
        "10",
        "--steps",
    ];
    run(&mut train_tiny(
        dir.path(),
        RUN,
        &[&options[..], &["20"]].concat(),
    ))
    .ok();
    // It goes on with another momentum.
    let resume = [
        &options[..],
        &["30", "--resume", "--set", "train.momentum=0.8"],
    ]
    .concat();
    run(&mut train_tiny(dir.path(), RUN, &resume)).ok();
    run(&mut train_tiny(
        dir.path(),
        "plain",
        &["--steps", "12", "--seed", "2"],
    ))
    .ok();
    dir
});

fn at(name: &str) -> String {
    path(DATA.path(), name)
}

fn text(path: impl AsRef<Path>) -> String {
    String::from_utf8(bytes(path)).expect("UTF-8")
}

/// The page of these runs.
fn page(runs: &[&str], name: &str) -> PathBuf {
    let out = at(name);
    let runs: Vec<String> = runs.iter().map(|run| at(run)).collect();
    let options = ["--out", &out, "--batch", "32"].map(str::to_owned);
    host(["report".to_owned()].iter().chain(&runs).chain(&options)).ok();
    out.into()
}

#[test]
fn a_page_has_all_that_is_known_and_nothing_becomes_markup() {
    // The name of SVG is the one address in it, and nobody goes there.
    let html = text(page(&[RUN], "one.html")).replace("http://www.w3.org/2000/svg", "");
    for part in [
        "a &lt;b&gt;run&lt;!--",
        "&lt;img src=x onerror=&quot;",
        "id=\"chart-loss\"",
        "data:image/png;base64,",
        "data:image/jpeg;base64,",
        "class=\"confusion\"",
        "Furthest off",
        "0.00001 from step 1, 0.000001 from step ",
        "ILSVRC-2010 test, ten crops",
        "<dt>processor</dt>",
        "conv1.weight",
        "Euclidean norms at step 30; measured from step 10 on.",
        "<td class=\"number\">21</td><td>train.momentum</td><td>0.9</td><td>0.8</td>",
        "\"changes\":[{\"step\":21,\"what\":\"train.momentum = 0.8\"}]",
        "those of 18 images that are most like it",
    ] {
        assert!(html.contains(part), "{part}");
    }
    for markup in [
        "<img src=x",
        "<b>run",
        "http://",
        "https://",
        "{{title}}</title>",
    ] {
        assert!(!html.contains(markup), "{markup}");
    }
}

#[test]
fn what_is_not_there_is_left_out_with_a_word() {
    let html = text(page(&["plain"], "plain.html"));
    assert!(html.contains("The run has no validation set, and no --data names one."));
    assert!(!html.contains("class=\"confusion\"") && !html.contains("Nearest neighbours"));
    assert!(html.contains("\"changes\":[]") && !html.contains("when the run went on"));
    let (out, val, plain) = (at("named.html"), at("sets/val"), at("plain"));
    host([
        "report", &plain, "--out", &out, "--data", &val, "--batch", "32", "--images", "7",
    ])
    .ok();
    assert!(text(out).contains("Centre crops of 7 of 18 images"));
}

/// The files in each row of neighbours, the image's own first, with the distances below the others.
fn rows_of_neighbours(html: &str) -> Vec<Vec<(String, String)>> {
    let figure = |part: &str| {
        let after = |mark: &str| part.split(mark).nth(1).expect("a mark");
        let [source, note] = [("title=\"", '"'), ("<br>", '<')]
            .map(|(mark, end)| after(mark).split(end).next().expect("an end").to_owned());
        (source, note)
    };
    let rows = html.split("<div class=\"like\">").skip(1);
    let rows = rows.map(|row| row.split("</div>").next().expect("an end"));
    rows.map(|row| row.split("<figure").skip(1).map(figure).collect())
        .collect()
}

/// Against all distances between what `host features` writes of the same layer.
#[test]
fn neighbours_are_the_nearest_of_all() {
    let html = text(page(&[RUN], "neighbours.html"));
    let (out, val) = (at("features.safetensors"), at("sets/val"));
    let of_layer = ["--layer", "fc3", "--batch", "32", "--data", &val];
    host(
        ["features", "--checkpoint", &at(RUN), "--out", &out]
            .iter()
            .chain(&of_layer),
    )
    .ok();
    let file = bytes(out);
    let tensors = safetensors::SafeTensors::deserialize(&file).expect("a file of tensors");
    let tensor = tensors.tensor("features").expect("features");
    let numbers = tensor.data().as_chunks().0;
    let numbers: Vec<f64> = numbers
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes).into())
        .collect();
    let features: Vec<&[f64]> = numbers.chunks(tensor.shape()[1]).collect();
    let sources: Vec<String> = (0..features.len())
        .map(|i| {
            let index = i.to_string();
            let told = pack(["inspect", &val, "--index", &index, "--json"]).ok();
            let source = told.json()["source"].as_str().expect("a file").to_owned();
            let escaped = source.replace('&', "&amp;").replace('"', "&quot;");
            escaped
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\'', "&#39;")
        })
        .collect();
    let rows = rows_of_neighbours(&html);
    assert_eq!(rows.len(), 3, "a row for each class");
    for row in rows {
        let asked = sources.iter().position(|one| *one == row[0].0);
        let asked = asked.unwrap_or_else(|| panic!("{} is not in {sources:?}", row[0].0));
        let distance = |other: usize| {
            let pairs = features[asked].iter().zip(features[other]);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let mut nearest: Vec<usize> = (0..sources.len()).filter(|&i| i != asked).collect();
        nearest.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        let wanted: Vec<(String, String)> = nearest[..5]
            .iter()
            .map(|&i| (sources[i].clone(), format!("{:.2}", distance(i))))
            .collect();
        assert_eq!(row[1..], wanted);
    }
}

#[test]
fn several_runs_are_compared() {
    let html = text(page(&[RUN, "plain"], "two.html"));
    assert!(html.contains("What differs between the runs"));
    assert!(html.contains("<td>seed</td><td>0</td><td>2</td>"), "{html}");
}

#[test]
fn what_is_no_run_is_named() {
    let out = at("none.html");
    host(["report", &at("sets"), "--out", &out]).fails(&["sets/config.toml", "No such file"]);
    host([
        "report",
        &at("plain"),
        "--out",
        &out,
        "--data",
        &at("drawn"),
    ])
    .fails(&["drawn"]);
    fs::create_dir_all(at("broken")).expect("a folder");
    fs::copy(at("plain/config.toml"), at("broken/config.toml")).expect("a copy");
    fs::write(at("broken/metrics.jsonl"), "{}\n").expect("a file");
    host(["report", &at("broken"), "--out", &out]).fails(&["broken/metrics.jsonl: line 1"]);
    assert!(!Path::new(&out).exists());
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_watched_run_is_followed_until_a_signal() {
    fs::create_dir_all(at("watched")).expect("a folder");
    fs::copy(at("plain/config.toml"), at("watched/config.toml")).expect("a copy");
    let out = PathBuf::from(at("pages/watched.html"));
    fs::create_dir_all(out.parent().expect("a folder")).expect("made");
    let mut command = program("host");
    command
        .args(["report", &at("watched"), "--watch", "--every", "1", "--out"])
        .arg(&out);
    let mut watch = Running(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts"),
    );
    until("no page", || out.exists());
    assert!(text(&out).contains("\"reload\":1"));
    // The last line is still being written.
    let lines = text(at("plain/metrics.jsonl"));
    fs::write(at("watched/metrics.jsonl"), &lines[..lines.len() - 20]).expect("written");
    until("the steps do not appear", || {
        text(&out).contains("\"step\":[1,2,3,4,5,6,7,8,9,10,11]")
    });
    let pid = watch.0.id().try_into().expect("a process");
    // SAFETY: it only sends a signal, to a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert_eq!(watch.0.wait().expect("its status").code(), Some(0));
    assert!(text(&out).contains("\"reload\":null"));
    assert_eq!(files(out.parent().expect("a folder")), ["watched.html"]);
}

/// What a page's own script tells when it has run: added to a copy of the page, it uses it and looks at it.
const PROBE: &str = r##"<script>
addEventListener("load", () => setTimeout(() => {
  const all = (of) => [...document.querySelectorAll(of)];
  const charts = all("#charts svg"), chart = charts[0], box = chart.getBoundingClientRect();
  const wrong = [];
  const must = (what, holds) => holds || wrong.push(what);
  const pointer = (type, x) => chart.dispatchEvent(new PointerEvent(type,
    { clientX: box.left + x, clientY: box.top + 50, button: 0, bubbles: true }));
  const key = (key) => chart.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const where = () => document.getElementById("where").textContent;
  must("four charts", charts.length === 4);
  for (const svg of charts) {
    must("a curve", svg.querySelector("path.curve")?.getAttribute("d").length > 20);
    must("a name with values", /at last/.test(svg.getAttribute("aria-label")));
    must("nothing that is no number", !/NaN|Infinity/.test(svg.innerHTML));
  }
  const marks = JSON.parse(document.getElementById("data").textContent).runs.flatMap((run) => run.changes);
  for (const svg of charts) must("a mark for each change", svg.querySelectorAll(".mark title").length === marks.length);
  must("images have names", all("img").every((img) => img.alt && img.naturalWidth > 0));
  must("fits the width", document.documentElement.scrollWidth <= innerWidth);
  must("last values at first", where() === "last values");
  pointer("pointermove", 120);
  must("hover reads a step", /^step \d+$/.test(where()));
  must("hover shows a line", chart.querySelector(".cursor"));
  if (marks.length) {
    const at = +chart.querySelector(".mark").getAttribute("x1");
    pointer("pointermove", at);
    must("hover tells what was changed", /from step 21 on .*train.momentum = 0.8/.test(where()));
  }
  pointer("pointerdown", 120); pointer("pointermove", 200); pointer("pointerup", 200);
  must("a drag zooms", /steps \d+ to \d+ shown/.test(where()));
  document.getElementById("whole").click();
  must("the button shows all", !/shown/.test(where()));
  key("+");
  must("+ zooms", /shown/.test(where()));
  key("ArrowRight"); key("Escape");
  must("Escape shows all", where() === "last values");
  must("nothing from outside runs", document.title.startsWith("Training: "));
  const back = getComputedStyle(document.body).backgroundColor;
  const result = `${innerWidth}px, ${back}: ${wrong.join("; ") || "all well"}`;
  parent.postMessage(result, "*");
}, 50));
</script></body>"##;

/// A page with another in a frame as wide as a phone, whose result it tells: Chromium's own window is wider.
const FRAME: &str = r##"<!doctype html><title>a frame</title><script>
addEventListener("message", (event) => { document.documentElement.dataset.result = event.data; });
</script><iframe src="PAGE" width="WIDTH" height="844"></iframe>"##;

/// `ALEXNET_CHROMIUM` says where Chromium is, `required` that it must be found.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var("ALEXNET_CHROMIUM").unwrap_or_default();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).find_map(|folder| {
        ["chromium", "chromium-browser", "google-chrome"]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.is_file())
    });
    match &*named {
        "" => found,
        "required" => Some(found.expect("Chromium, which ALEXNET_CHROMIUM requires")),
        path => Some(path.into()),
    }
}

/// The page's console and its DOM after the script.
fn look(chromium: &Path, html: &Path, options: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(chromium);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(format!("file://{}", html.display()));
    let done = run(&mut command).ok();
    let console = done.err.lines().filter(|line| line.contains("CONSOLE"));
    (console.collect::<Vec<_>>().join("\n"), done.out)
}

#[test]
fn a_browser_shows_the_page() {
    let Some(chromium) = chromium() else {
        say("NOT TESTED in a browser: there is no Chromium (Debian: apt-get install chromium)");
        return;
    };
    for (runs, name) in [
        (&[RUN][..], "one"),
        (&[RUN, "plain"], "two"),
        (&["plain"], "plain"),
    ] {
        let html = text(page(runs, &format!("browser-{name}.html")));
        let probed = DATA.path().join(format!("probed-{name}.html"));
        fs::write(&probed, html.replace("</body>", PROBE)).expect("written");
        let dark = "--blink-settings=preferredColorScheme=0";
        for (width, options, back) in [
            (1280, &[][..], "rgb(251, 251, 250)"),
            (1280, &[dark], "rgb(22, 24, 27)"),
            (390, &[], "rgb(251, 251, 250)"),
            (390, &[dark], "rgb(22, 24, 27)"),
        ] {
            let frame = DATA.path().join(format!("frame-{name}.html"));
            let page = format!("probed-{name}.html");
            let text = FRAME
                .replace("PAGE", &page)
                .replace("WIDTH", &width.to_string());
            fs::write(&frame, text).expect("written");
            let (console, dom) = look(&chromium, &frame, options);
            assert_eq!(console, "", "{name} {width} {options:?}");
            let result = dom
                .split("data-result=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            let result = result.expect("the probe has run");
            assert!(
                result == format!("{width}px, {back}: all well"),
                "{name} {options:?}: {result}"
            );
        }
    }
    // An error of the page's script would be seen.
    let broken = DATA.path().join("broken.html");
    fs::write(&broken, "<script>JSON.parse('')</script>").expect("written");
    assert!(look(&chromium, &broken, &[]).0.contains("Uncaught"));
}

/// Past the test program, which shows what is printed only of tests that fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
