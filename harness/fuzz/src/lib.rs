//! Fuzz targets. Each is a plain function that takes any bytes, and panics if an invariant does not hold.
//!
//! `libfuzzer/` runs them with libFuzzer's inputs. The tests run them with the seeds and the committed corpora, on the
//! stable toolchain. `README.md` describes how to run them, and their findings.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
// A panic is the result that a fuzzer looks for.
#![allow(clippy::unwrap_used)]

pub mod corpus;
pub mod seeds;

mod bytes;
mod delivery;
mod descriptor;
mod env_file;
mod event;
mod forward;
mod har;
mod json;
mod operations;
mod recording;
mod refusal;
mod split;
mod url;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the target, of its corpus, and of its program in `libfuzzer/`.
    pub name: &'static str,
    /// Function that panics if an invariant does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Function that returns the seeds, made from the recordings and the vectors.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "bytes", run: bytes::run, seeds: seeds::bytes },
    Target { name: "delivery", run: delivery::run, seeds: seeds::delivery },
    Target { name: "descriptor", run: descriptor::run, seeds: seeds::descriptor },
    Target { name: "env_file", run: env_file::run, seeds: seeds::env_file },
    Target { name: "event", run: event::run, seeds: seeds::event },
    Target { name: "forward", run: forward::run, seeds: seeds::forward },
    Target { name: "har", run: har::run, seeds: seeds::har },
    Target { name: "operations", run: operations::run, seeds: seeds::operations },
    Target { name: "recording", run: recording::run, seeds: seeds::recording },
    Target { name: "refusal", run: refusal::run, seeds: seeds::refusal },
    Target { name: "split", run: split::run, seeds: seeds::split },
    Target { name: "url", run: url::run, seeds: seeds::url },
];

/// Returns the target `name`, if there is one.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
