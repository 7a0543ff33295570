//! Images of a set and those of them that are most like these, by the Euclidean distance of what the last hidden layer
//! makes of them: the right of the paper's Figure 4, for the page.

use anyhow::Result;
use dataset_pack::Dataset;

use super::picture::Picture;
use crate::net::Network;
use crate::net::shapes::Net;

/// Most images that are compared: their features are held in memory.
const AMONG: usize = 2000;
/// Images whose neighbours are shown.
const ASKED: usize = 6;
/// Neighbours of each.
const NEAREST: usize = 5;

/// The nearest of some images.
pub struct Neighbours {
    /// The layer whose features were compared.
    pub layer: String,
    /// How many images were.
    pub among: usize,
    /// For each image that was asked about: itself, and the nearest with their distances.
    pub rows: Vec<(Picture, Vec<(Picture, f64)>)>,
}

/// What a layer made of images.
pub struct Features {
    layer: usize,
    name: String,
    images: Vec<u32>,
    width: usize,
    /// `[image][feature]`.
    values: Vec<f32>,
}

impl Features {
    /// Of the last hidden layer, as it is when all that works in place on it has; `None` if there is none.
    pub fn of(net: &Net) -> Option<Self> {
        let at = net.last_hidden()?;
        Some(Features {
            layer: net.last_in_place(at),
            name: net.towers[0][at].name.clone(),
            images: Vec::new(),
            width: 0,
            values: Vec::new(),
        })
    }

    /// Takes what the network has just made of these images, if they are not too many.
    pub fn take(&mut self, network: &Network, images: &[u32]) -> Result<()> {
        let room = AMONG - self.images.len();
        let taken = &images[..images.len().min(room)];
        if !taken.is_empty() {
            let (values, width) = network.values(self.layer)?;
            self.width = width;
            self.values.extend(&values[..taken.len() * width]);
            self.images.extend(taken);
        }
        Ok(())
    }

    /// The neighbours of the first image of each class, of as many classes as are shown.
    pub fn neighbours(self, data: &Dataset) -> Result<Neighbours> {
        let label = |at: &usize| data.label(self.images[*at] as usize);
        let mut asked: Vec<usize> = Vec::new();
        for at in 0..self.images.len() {
            if asked.len() < ASKED && asked.iter().all(|other| label(other) != label(&at)) {
                asked.push(at);
            }
        }
        let picture = |at: usize| Picture::of(data, self.images[at] as usize);
        let row = |&at: &usize| {
            let nearest = nearest(&self.values, self.width, at).into_iter();
            let nearest = nearest.map(|(other, distance)| Ok((picture(other)?, distance)));
            Ok((picture(at)?, nearest.collect::<Result<_>>()?))
        };
        Ok(Neighbours {
            rows: asked.iter().map(row).collect::<Result<_>>()?,
            among: self.images.len(),
            layer: self.name,
        })
    }
}

/// The rows nearest to one of them, the nearest first, of equals the first; not itself.
fn nearest(values: &[f32], width: usize, to: usize) -> Vec<(usize, f64)> {
    let rows: Vec<&[f32]> = values.chunks_exact(width).collect();
    let distance = |row: &[f32]| {
        let pairs = row.iter().zip(rows[to]);
        let squares = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let others = rows.iter().enumerate().filter(|(at, _)| *at != to);
    let mut found: Vec<(usize, f64)> = others.map(|(at, row)| (at, distance(row))).collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found.truncate(NEAREST);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_without_the_row_itself() {
        let values = [
            0.0, 0.0, 3.0, 4.0, 0.0, 1.0, 0.0, -1.0, 6.0, 8.0, 30.0, 40.0, 0.0, 2.0,
        ];
        let found = nearest(&values, 2, 0);
        assert_eq!(found, [(2, 1.0), (3, 1.0), (6, 2.0), (1, 5.0), (4, 10.0)]);
    }
}
