//! The pass back from a gradient that is given instead of the loss's, and the gradient to the images at its end.

use anyhow::{Context as _, Result};

use super::context::Mode;
use super::{Network, Tower, stream};

impl Network {
    /// Queues the pass back from a gradient to what the network gives before its loss, `[output][image]`, all towers
    /// joined: to all that ever learns, and to the images where the network was built for it.
    ///
    /// # Panics
    /// It is not as long as what the network gives.
    pub fn backward_from(&self, gradient: &[f32], mode: Mode) {
        let end = self.give_back(gradient);
        self.backward_between(end, &self.ever_wanted(), mode, |_| ());
    }

    /// Likewise, to the images alone.
    pub fn backward_to_images(&self, gradient: &[f32], mode: Mode) {
        let end = self.give_back(gradient);
        self.backward_between(end, &vec![[false; 2]; end], mode, |_| ());
    }

    /// Uploads a gradient to what the network gives before its loss, and says how many layers made that.
    fn give_back(&self, gradient: &[f32]) -> usize {
        let loss = self.net.towers[0].iter().position(|layer| layer.is_loss());
        let end = loss.unwrap_or(self.steps());
        let outputs = |tower: &Tower| self.net.towers[tower.index][end - 1].output.len();
        let mut rest = gradient;
        for tower in &self.towers {
            let (part, others) = rest.split_at(outputs(tower) * self.batch);
            rest = others;
            if let Some(to) = &tower.steps[end - 1].y.gradient {
                // Behind a tower's last output may be padding.
                let mut padded = part.to_vec();
                padded.resize(to.len(), 0.0);
                stream(tower).upload(&padded, to);
            }
        }
        assert!(rest.is_empty(), "{} floats too many", rest.len());
        end
    }

    /// Waits for the gradient to the images that count, `[image][colour][row][column]`, as the first layer reads them.
    /// All towers read them: their gradients are added, tower 0's first.
    pub fn image_gradients(&self) -> Result<Vec<f32>> {
        let mut sum: Vec<f32> = Vec::new();
        for tower in &self.towers {
            let gradient = tower
                .steps
                .first()
                .and_then(|step| step.x.gradient.as_ref());
            let gradient =
                gradient.context("the network was built without the gradient to its images")?;
            let part = self.by_image(tower, gradient, gradient.len() / self.batch)?;
            match sum.is_empty() {
                true => sum = part,
                false => sum
                    .iter_mut()
                    .zip(part)
                    .for_each(|(sum, more)| *sum += more),
            }
        }
        Ok(sum)
    }
}
