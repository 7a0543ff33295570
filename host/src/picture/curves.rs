//! The curves of a run: the loss above, the errors below, over the steps.
//!
//! The training's own numbers are of one batch each and jump about: they are shown faintly, and their mean over
//! neighbouring steps in full colour. Points mark the validations.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use console::escaped;
use image::RgbImage;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{load_fonts, write_png};
use crate::metrics::log::Line;

const SIZE: (u32, u32) = (1200, 900);
const TRAINING: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const TOP1: RGBColor = RGBColor(0xd6, 0x27, 0x28);
const TOP5: RGBColor = RGBColor(0xe8, 0x8c, 0x1a);
const TEXT: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// One line of a chart.
struct Curve {
    label: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
    /// Of the validations: few, each marked. Otherwise a batch each: many, shown with their mean.
    validation: bool,
}

impl Curve {
    fn new(
        label: &'static str,
        colour: RGBColor,
        lines: &[Line],
        validation: bool,
        value: fn(&Line) -> f64,
    ) -> Self {
        let lines = lines.iter().filter(|line| line.validation == validation);
        let points = lines
            .map(|line| (line.step as f64, value(line)))
            .filter(|(_, y)| y.is_finite())
            .collect();
        Self {
            label,
            colour,
            points,
            validation,
        }
    }

    /// The mean over about a fiftieth of the curve around each point.
    fn smooth(&self) -> impl Iterator<Item = (f64, f64)> {
        let (n, reach) = (self.points.len(), self.points.len() / 100);
        let sums = self.points.iter().scan(0.0, |sum, point| {
            *sum += point.1;
            Some(*sum)
        });
        let sums: Vec<f64> = std::iter::once(0.0).chain(sums).collect();
        self.points.iter().enumerate().map(move |(i, point)| {
            let (begin, end) = (i.saturating_sub(reach), (i + reach + 1).min(n));
            (point.0, (sums[end] - sums[begin]) / (end - begin) as f64)
        })
    }

    fn highest(&self) -> f64 {
        self.points.iter().map(|point| point.1).fold(0.0, f64::max)
    }
}

/// Draws the curves and writes them as PNG.
pub fn write(path: &Path, title: &str, lines: &[Line]) -> Result<()> {
    let picture = draw(title, lines).with_context(|| escaped(path).to_string())?;
    write_png(path, &picture)
}

fn draw(title: &str, lines: &[Line]) -> Result<RgbImage> {
    ensure!(
        !lines.is_empty(),
        "there is nothing to draw: the run has no steps"
    );
    load_fonts()?;
    let mut pixels = vec![255; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        draw_charts(&area, title, lines).map_err(|error| anyhow!("cannot draw: {error}"))?;
    }
    RgbImage::from_raw(SIZE.0, SIZE.1, pixels).context("cannot draw")
}

fn draw_charts(area: &Area, title: &str, lines: &[Line]) -> Drawn {
    area.fill(&WHITE)?;
    let area = area
        .margin(14, 0, 0, 6)
        .titled(title, ("sans-serif", 26).into_font().color(&TEXT))?;
    let (above, below) = area.split_vertically(area.dim_in_pixel().1 / 2);
    let end = lines.iter().map(|line| line.step).max().unwrap_or(1).max(1) as f64;
    let losses = [
        Curve::new("training", TRAINING, lines, false, |line| line.loss),
        Curve::new("validation", TOP1, lines, true, |line| line.loss),
    ];
    let errors = [
        Curve::new("training, top-1", TRAINING, lines, false, |line| {
            line.top1_error * 100.0
        }),
        Curve::new("validation, top-1", TOP1, lines, true, |line| {
            line.top1_error * 100.0
        }),
        Curve::new("validation, top-5", TOP5, lines, true, |line| {
            line.top5_error * 100.0
        }),
    ];
    let highest = losses.iter().map(Curve::highest).fold(0.0, f64::max);
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    draw_chart(&above, "loss", end, top, &losses)?;
    draw_chart(&below, "error, %", end, 100.0, &errors)?;
    area.present()?;
    Ok(())
}

fn draw_chart(area: &Area, name: &str, end: f64, top: f64, curves: &[Curve]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(TEXT)
        .label_style(("sans-serif", 16).into_font().color(&TEXT))
        .axis_desc_style(("sans-serif", 18).into_font().color(&TEXT))
        .x_desc("step")
        .y_desc(name)
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{}", (y * 1000.0).round() / 1000.0))
        .draw()?;
    for curve in curves.iter().filter(|curve| !curve.points.is_empty()) {
        // More points than the picture has columns would only fill it.
        let thin = curve.points.len() / 4000 + 1;
        let points = curve.points.iter().copied().step_by(thin);
        let line: Vec<_> = if curve.validation {
            chart.draw_series(points.map(|p| Circle::new(p, 4, curve.colour.filled())))?;
            curve.points.clone()
        } else {
            chart.draw_series(LineSeries::new(points, curve.colour.mix(0.25)))?;
            curve.smooth().step_by(thin).collect()
        };
        let style = curve.colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line, style))?
            .label(curve.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(30)
        .margin(14)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font(("sans-serif", 16).into_font().color(&TEXT))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that learns, with noise.
    fn run(steps: u64) -> Vec<Line> {
        let line = |step: u64, validation| {
            let left = (-(step as f64) / 150.0).exp();
            let noise = if validation {
                0.0
            } else {
                ((step * 7919 % 101) as f64 / 101.0 - 0.5) * 0.3
            };
            Line {
                step,
                loss: 0.4 + 1.9 * left + noise,
                top1_error: (0.15 + 0.75 * left + noise / 2.0).clamp(0.0, 1.0),
                top5_error: 0.02 + 0.48 * left,
                validation,
                ..Line::default()
            }
        };
        let both = |step| {
            [
                Some(line(step, false)),
                (step % 50 == 0).then(|| line(step, true)),
            ]
        };
        (1..=steps).flat_map(both).flatten().collect()
    }

    fn count(picture: &RgbImage, colour: RGBColor) -> usize {
        picture
            .pixels()
            .filter(|pixel| pixel.0 == [colour.0, colour.1, colour.2])
            .count()
    }

    #[test]
    fn a_run_has_all_its_curves() {
        let picture = draw("a run", &run(600)).unwrap();
        assert_eq!(picture.dimensions(), SIZE);
        for (colour, least) in [(TRAINING, 1000), (TOP1, 1000), (TOP5, 500), (TEXT, 500)] {
            assert!(
                count(&picture, colour) > least,
                "{colour:?}: {}",
                count(&picture, colour)
            );
        }
        // No validations, no curve of theirs.
        let training: Vec<Line> = run(600)
            .into_iter()
            .filter(|line| !line.validation)
            .collect();
        assert_eq!(count(&draw("a run", &training).unwrap(), TOP5), 0);
    }

    #[test]
    fn the_mean_is_of_the_neighbours() {
        let lines: Vec<Line> = (0..300)
            .map(|step| Line {
                step,
                loss: step as f64,
                ..Line::default()
            })
            .collect();
        let smooth: Vec<_> = Curve::new("", TRAINING, &lines, false, |line| line.loss)
            .smooth()
            .collect();
        // Three to each side, fewer at the ends.
        assert_eq!(
            [smooth[0].1, smooth[1].1, smooth[100].1, smooth[299].1],
            [1.5, 2.0, 100.0, 297.5]
        );
    }

    #[test]
    fn the_shortest_and_the_oddest_runs_can_be_drawn() {
        draw("", &run(1)).unwrap();
        let broken = Line {
            step: 0,
            loss: f64::NAN,
            ..Line::default()
        };
        draw(
            "a run",
            &[
                broken.clone(),
                Line {
                    loss: f64::INFINITY,
                    ..broken
                },
            ],
        )
        .unwrap();
    }

    #[test]
    fn no_steps_is_an_error_that_names_the_picture() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curves.png");
        let error = format!("{:#}", write(&path, "a run", &[]).unwrap_err());
        assert!(
            error.ends_with("curves.png: there is nothing to draw: the run has no steps"),
            "{error}"
        );
        assert!(!path.exists());
    }

    #[test]
    fn the_file_is_a_png_of_that_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::env::var_os("CURVES_PNG").map_or(dir.path().join("curves.png"), Into::into);
        write(&path, "paper, width 0.25, 10 classes", &run(600)).unwrap();
        assert_eq!(image::image_dimensions(&path).unwrap(), SIZE);
    }
}
