//! What the ranks' exchange takes, for `host bench` under a launcher.

use std::fmt;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::bench::{median, train};
use crate::net::collective::Collective;
use crate::net::rates::Rates;
use crate::net::{Batch, Network, Sgd};
use crate::ranks::Ranks;

/// Messages whose time is taken, and the bytes that a rank sends to each other one in long ones.
const MESSAGES: usize = 50;
const LONG: usize = 4 << 20;

/// What the exchange takes: medians over the steps, and over the messages.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    ranks: u32,
    bytes_sent_a_step: u64,
    /// Of a step as training takes it, the exchange beside the passes.
    step_seconds: f64,
    /// Of a step whose exchange begins when all passes are done.
    step_seconds_one_after_the_other: f64,
    /// Of a step that every rank takes by itself.
    step_seconds_without: f64,
    /// Of a float to every rank and one from each.
    message_seconds: f64,
    /// That a rank sends to the others, as long as it has much to send.
    bytes_sent_a_second: f64,
}

/// When the ranks exchange.
#[derive(Clone, Copy)]
enum When {
    Beside,
    Behind,
    Never,
}

impl Exchange {
    /// Nothing, where there is one rank.
    pub fn measure(
        network: &mut Network,
        ranks: &Ranks,
        batch: &Batch,
        steps: u32,
        sgd: Sgd,
    ) -> Result<Option<Self>> {
        let Some(mut collective) = network.collective(ranks)? else {
            return Ok(None);
        };
        let mut seconds = [When::Beside, When::Behind, When::Never].map(|when| (when, Vec::new()));
        for number in 0..=steps {
            for (when, seconds) in &mut seconds {
                // All begin together.
                ranks.any(false);
                let taken = step(network, &mut collective, batch, (number, sgd), *when)?;
                // The first ones are not measured.
                seconds.extend((number > 0).then_some(taken));
            }
        }
        let [beside, behind, without] = seconds.map(|(_, seconds)| median(seconds));
        let sent = ranks.sent() / u64::from(2 * (steps + 1));
        let (message, long) = (message(ranks, 1), message(ranks, LONG / size_of::<f32>()));
        Ok(Some(Exchange {
            ranks: ranks.size(),
            bytes_sent_a_step: sent,
            step_seconds: beside,
            step_seconds_one_after_the_other: behind,
            step_seconds_without: without,
            message_seconds: message,
            bytes_sent_a_second: LONG as f64 * f64::from(ranks.size() - 1) / long,
        }))
    }

    /// Of a step as training takes it.
    pub fn step_seconds(&self) -> f64 {
        self.step_seconds
    }
}

/// Seconds of a step.
fn step(
    network: &mut Network,
    collective: &mut Collective,
    batch: &Batch,
    (number, sgd): (u32, Sgd),
    when: When,
) -> Result<f64> {
    if let When::Never = when {
        return train(network, batch, number, sgd);
    }
    let begun = Instant::now();
    let rates = Rates::new(network.net(), sgd, 0, |_| sgd.rate);
    network.load(batch);
    let added = network.pass(number, 0, &rates);
    network.upload(batch);
    if let When::Behind = when {
        network.synchronize()?;
    }
    network.step(collective, &added, &rates)?;
    network.scores()?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds in which a rank sends so many floats to each, itself among them, and gets as many.
fn message(ranks: &Ranks, floats: usize) -> f64 {
    let len = floats * ranks.size() as usize;
    let mut memory = [vec![0.0; len], vec![0.0; len]];
    let mut time = |_| {
        let begun = Instant::now();
        let [from, to] = std::mem::take(&mut memory);
        memory = ranks.all_to_all(from, to).finish();
        begun.elapsed().as_secs_f64()
    };
    median((0..MESSAGES).map(&mut time).collect())
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "ranks        {}, each sends {:.1} MB a step; {:.3} s a step with passes and exchange one after the other, \
             {:.3} s without exchange",
            self.ranks,
            self.bytes_sent_a_step as f64 / 1e6,
            self.step_seconds_one_after_the_other,
            self.step_seconds_without,
        )?;
        write!(
            f,
            "messages     {:.1} µs each, {:.2} GB/s",
            1e6 * self.message_seconds,
            self.bytes_sent_a_second / 1e9
        )
    }
}
