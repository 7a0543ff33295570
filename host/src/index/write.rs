//! An index as it grows.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use console::escaped;
use dataset_pack::atomic::{folder_of, sync_folder};
use half::f16;

use super::{Description, HEAD, Layout, Note};

/// How often what is written is brought to the disk.
const INTERVAL: Duration = Duration::from_secs(10);

/// Writes an index under the name `FILE.partial`, which a later run goes on with, and gives it its own name when all
/// rows are there.
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    description: Description,
    layout: Layout,
    done: usize,
    synced: Instant,
}

impl Writer {
    /// Begins a file, or goes on with one that was to hold the same.
    pub fn open(path: &Path, description: &Description) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".partial");
        let partial = PathBuf::from(name);
        let layout = description
            .layout()
            .context("more features than a file can hold")?;
        let open = || -> Result<(File, usize)> {
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&partial)?;
            ensure!(file.metadata()?.is_file(), "not a file");
            let mut head = vec![0; HEAD];
            let read = file
                .read_exact_at(&mut head, 0)
                .map_err(anyhow::Error::from);
            let there = read.and_then(|()| Description::read(&head));
            let done = match there {
                Ok((there, done)) if there == *description && done <= there.rows => done,
                _ => 0,
            };
            if done == 0 {
                file.set_len(0)?;
                file.set_len(layout.end as u64)?;
                file.write_all_at(&description.head()?, 0)?;
            }
            Ok((file, done))
        };
        let (file, done) =
            open().with_context(|| format!("{}: cannot write", escaped(&partial)))?;
        Ok(Writer {
            path: path.to_path_buf(),
            partial,
            file,
            description: description.clone(),
            layout,
            done,
            synced: Instant::now(),
        })
    }

    /// Rows that are written.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Writes the rows from `first` on, of which none before is missing.
    pub fn write(&mut self, first: usize, features: &[f32]) -> Result<()> {
        let width = self.description.width;
        let (mut codes, mut notes, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        for (i, row) in features.chunks_exact(width).enumerate() {
            let row = self.rounded(row);
            let finite = row.iter().all(|x| x.is_finite());
            ensure!(finite, "image {}: features that are not finite", first + i);
            let begin = stored.len();
            for &x in &row {
                match self.description.half {
                    true => stored.extend(f16::from_f32(x).to_le_bytes()),
                    false => stored.extend(x.to_le_bytes()),
                }
            }
            let mut note = quantise(&row, 127, &mut codes, |code| code as i8);
            note.codes = note.sum(&codes[codes.len() - width..]);
            note.features = crc32c::crc32c(&stored[begin..]);
            notes.push(note);
        }
        let bytes = width * self.description.bytes();
        for (bytes, at) in [
            (bytemuck::cast_slice(&codes), HEAD + first * width),
            (
                bytemuck::cast_slice(&notes),
                self.layout.notes + first * size_of::<Note>(),
            ),
            (&stored[..], self.layout.features + first * bytes),
        ] {
            self.file
                .write_all_at(bytes, at as u64)
                .with_context(|| self.cannot())?;
        }
        self.done = self.done.max(first + notes.len());
        if self.synced.elapsed() >= INTERVAL {
            self.sync()?;
        }
        Ok(())
    }

    /// Brings the rows to the disk, then their number.
    pub fn sync(&mut self) -> Result<()> {
        let done = (self.done as u64).to_le_bytes();
        let sync = || -> std::io::Result<()> {
            self.file.sync_data()?;
            self.file.write_all_at(&done, 8)?;
            self.file.sync_data()
        };
        sync().with_context(|| self.cannot())?;
        self.synced = Instant::now();
        Ok(())
    }

    /// Gives the file its name.
    pub fn publish(mut self) -> Result<()> {
        self.sync()?;
        std::fs::rename(&self.partial, &self.path)
            .with_context(|| format!("{}: cannot write", escaped(&self.path)))?;
        Ok(sync_folder(folder_of(&self.path))?)
    }

    /// A row as it is stored.
    fn rounded(&self, row: &[f32]) -> Vec<f32> {
        match self.description.half {
            true => row.iter().map(|&x| f16::from_f32(x).to_f32()).collect(),
            false => row.to_vec(),
        }
    }

    fn cannot(&self) -> String {
        format!("{}: cannot write", escaped(&self.partial))
    }
}

/// Appends a row's codes, from −`most` to `most`, of which `code` makes what is stored; the note has no checksums yet.
pub(super) fn quantise<T>(
    row: &[f32],
    most: i32,
    codes: &mut Vec<T>,
    code: impl Fn(i32) -> T,
) -> Note {
    let largest = row.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let scale = largest / most as f32;
    let (mut squares, mut error) = (0u64, 0f64);
    for &x in row {
        let nearest = match scale > 0.0 {
            true => (x / scale).round().clamp(-most as f32, most as f32) as i32,
            false => 0,
        };
        squares += u64::from(nearest.unsigned_abs()).pow(2);
        error += (f64::from(x) - f64::from(scale) * f64::from(nearest)).powi(2);
        codes.push(code(nearest));
    }
    Note {
        scale,
        // Rounded up, whatever the sums have lost.
        error: ((error.sqrt() * (1.0 + 1e-6)) as f32).next_up(),
        squares,
        codes: 0,
        features: 0,
    }
}
