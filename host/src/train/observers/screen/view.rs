//! What the screen shows, and how it is drawn.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line as Text;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};

use crate::metrics::log::Line;

/// Most points of a curve; from here on neighbours are merged.
const POINTS: usize = 1024;

/// Lines of what was said.
const SAID: usize = 4;

/// Charts stand side by side on terminals of so many columns.
const WIDE: u16 = 90;

/// A curve: points that each stand for the mean of several steps.
#[derive(Default)]
struct Curve {
    points: Vec<(f64, f64)>,
    /// Steps in a point.
    each: usize,
    /// Those of the next one, and their sum.
    next: (usize, f64),
}

impl Curve {
    fn add(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.each = self.each.max(1);
        self.next = (self.next.0 + 1, self.next.1 + value);
        if self.next.0 < self.each {
            return;
        }
        let (count, sum) = std::mem::take(&mut self.next);
        self.points.push((step as f64, sum / count as f64));
        if self.points.len() >= POINTS {
            let pairs = self.points.as_chunks::<2>().0.iter();
            self.points = pairs.map(|[a, b]| (b.0, (a.1 + b.1) / 2.0)).collect();
            self.each *= 2;
        }
    }
}

/// What the screen shows.
pub struct View {
    name: String,
    colours: bool,
    /// Loss and top-1 error in percent, of training and of validation.
    loss: [Curve; 2],
    error: [Curve; 2],
    begun: Instant,
    first_step: u64,
    last_step: u64,
    last: Line,
    validation: Option<Line>,
    /// The newest checkpoint.
    pub saved: String,
    /// What was said.
    pub said: Vec<String>,
}

impl View {
    /// Of a run of this name.
    pub fn new(name: &str, colours: bool) -> Self {
        Self {
            name: name.into(),
            colours,
            loss: Default::default(),
            error: Default::default(),
            begun: Instant::now(),
            first_step: 0,
            last_step: 0,
            last: Line::default(),
            validation: None,
            saved: String::new(),
            said: Vec::new(),
        }
    }

    /// The run goes from this step to that one.
    pub fn begin(&mut self, step: u64, last_step: u64) {
        (self.first_step, self.last_step) = (step, last_step);
        self.last.step = step;
        self.begun = Instant::now();
    }

    /// Takes in what was measured.
    pub fn add(&mut self, line: &Line) {
        let which = usize::from(line.validation);
        self.loss[which].add(line.step, line.loss);
        self.error[which].add(line.step, 100.0 * line.top1_error);
        match line.validation {
            true => self.validation = Some(line.clone()),
            false => self.last = line.clone(),
        }
    }

    /// Draws it all.
    pub fn draw(&self, frame: &mut Frame) {
        let said = Constraint::Length(SAID as u16);
        let parts = [
            Constraint::Length(3),
            Constraint::Min(4),
            Constraint::Length(3),
            said,
        ];
        let [progress, charts, facts, said] = Layout::vertical(parts).areas(frame.area());
        self.progress(frame, progress);
        let halves = [Constraint::Fill(1); 2];
        let [left, right] = match charts.width >= WIDE {
            true => Layout::horizontal(halves).areas(charts),
            false => Layout::vertical(halves).areas(charts),
        };
        self.chart(frame, left, "loss", &self.loss);
        self.chart(frame, right, "top-1 error, %", &self.error);
        frame.render_widget(Paragraph::new(self.facts()), facts);
        let from = self.said.len().saturating_sub(SAID);
        let lines = self.said[from..]
            .iter()
            .map(|line| Text::raw(console::escaped(line).to_string()));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), said);
    }

    fn colour(&self, colour: Color) -> Style {
        match self.colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn progress(&self, frame: &mut Frame, area: Rect) {
        let share = self.last.step as f64 / self.last_step.max(1) as f64;
        let label = format!(
            "{} of {} steps, {}",
            self.last.step,
            self.last_step,
            self.time_left()
        );
        let gauge = Gauge::default()
            .block(Block::bordered().title(self.name.as_str()))
            .gauge_style(self.colour(Color::Blue))
            .ratio(share.clamp(0.0, 1.0))
            .label(label);
        frame.render_widget(gauge, area);
    }

    /// From how long the steps so far took.
    fn time_left(&self) -> String {
        let done = self.last.step.saturating_sub(self.first_step);
        if done == 0 {
            return "time left not known yet".into();
        }
        let left = self.last_step.saturating_sub(self.last.step);
        let seconds = self.begun.elapsed().as_secs_f64() / done as f64 * left as f64;
        format!("{} left", time(seconds as u64))
    }

    fn facts(&self) -> Vec<Text<'static>> {
        let line = &self.last;
        let now = format!(
            "epoch {:.2}  loss {:.4}  top-1 error {:.1} %  learning rate {}  {:.1} images/s",
            line.epoch,
            line.loss,
            100.0 * line.top1_error,
            line.lr,
            line.images_per_second
        );
        let validated = self.validation.as_ref().map(|line| {
            format!(
                "validation at step {}: loss {:.4}, errors top-1 {:.1} %, top-5 {:.1} %",
                line.step,
                line.loss,
                100.0 * line.top1_error,
                100.0 * line.top5_error
            )
        });
        let saved = (!self.saved.is_empty()).then(|| format!("saved {}", self.saved));
        let lines = [Some(now), validated, saved].into_iter().flatten();
        lines.map(Text::raw).collect()
    }

    fn chart(&self, frame: &mut Frame, area: Rect, title: &str, curves: &[Curve; 2]) {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let highest = points().map(|point| point.1).fold(0.0, f64::max);
        let lowest = points().map(|point| point.1).fold(highest, f64::min);
        let room = ((highest - lowest) * 0.05).max(1e-3);
        let bounds = [(lowest - room).max(0.0), highest + room];
        let last = points().map(|point| point.0).fold(1.0, f64::max);
        let looks = [
            ("training", Color::Cyan, Marker::Braille),
            ("validation", Color::Red, Marker::Dot),
        ];
        let sets = curves
            .iter()
            .zip(looks)
            .filter(|(curve, _)| !curve.points.is_empty());
        let sets = sets.map(|(curve, (name, colour, marker))| {
            Dataset::default()
                .name(name)
                .marker(marker)
                .graph_type(GraphType::Line)
                .style(self.colour(colour))
                .data(&curve.points)
        });
        let chart = Chart::new(sets.collect())
            .block(Block::bordered().title(title))
            .x_axis(
                Axis::default()
                    .bounds([0.0, last])
                    .labels(["0".into(), format!("{last}")]),
            )
            .y_axis(
                Axis::default()
                    .bounds(bounds)
                    .labels(bounds.map(|y| format!("{y:.2}"))),
            );
        frame.render_widget(chart, area);
    }
}

fn time(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn view(colours: bool) -> View {
        let mut view = View::new("runs/a", colours);
        view.begin(0, 200);
        for step in 1..=100 {
            view.add(&Line {
                step,
                epoch: step as f64 / 50.0,
                loss: 3.0 - step as f64 / 50.0,
                top1_error: 0.9 - step as f64 / 250.0,
                lr: 0.01,
                images_per_second: 123.4,
                ..Line::default()
            });
        }
        view.add(&Line {
            step: 100,
            loss: 1.5,
            top1_error: 0.5,
            top5_error: 0.125,
            validation: true,
            ..Line::default()
        });
        view.said = (0..9).map(|n| format!("said {n}\x1b[2J")).collect();
        view
    }

    fn drawn(view: &View, width: u16, height: u16) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        terminal.backend().clone()
    }

    #[test]
    fn what_is_measured_is_shown() {
        for (width, height) in [(120, 40), (80, 24)] {
            let text = drawn(&view(true), width, height).to_string();
            for part in [
                "runs/a",
                "100 of 200 steps",
                "left",
                "loss 1.0000",
                "top-1 error 50.0 %",
                "learning rate 0.01",
                "123.4 images/s",
                "validation at step 100: loss 1.5000, errors top-1 50.0 %, top-5 12.5 %",
                "said 8",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
            // Only the last lines, and nothing that moves the cursor.
            assert!(!text.contains("said 4") && !text.contains('\x1b'), "{text}");
            assert!(
                text.contains('⠤') || text.contains('⠒') || text.contains('⠑'),
                "{text}"
            );
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        let coloured = |colours: bool| {
            let backend = drawn(&view(colours), 120, 40);
            let cells = backend.buffer().content().iter();
            cells
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert_eq!(coloured(false), 0);
        assert!(coloured(true) > 100);
    }

    #[test]
    fn no_terminal_is_too_small_and_nothing_measured_is_nothing_shown() {
        let empty = View::new("", true);
        for (width, height) in [(1, 1), (3, 2), (20, 5), (400, 3)] {
            drawn(&empty, width, height);
            drawn(&view(true), width, height);
        }
    }

    #[test]
    fn a_long_run_keeps_few_points_and_their_means() {
        let mut curve = Curve::default();
        for step in 0..100_000 {
            curve.add(step, 7.0 + (step % 2) as f64);
        }
        assert!(curve.points.len() < POINTS && curve.points.len() >= POINTS / 2);
        assert!(
            curve
                .points
                .iter()
                .skip(1)
                .all(|point| (point.1 - 7.5).abs() < 1e-9)
        );
        curve.add(100_001, f64::NAN);
        assert!(curve.points.iter().all(|point| point.1.is_finite()));
    }

    #[test]
    fn times_are_said_in_two_units() {
        assert_eq!([59, 61, 7380].map(time), ["59 s", "1 min 1 s", "2 h 3 min"]);
    }
}
