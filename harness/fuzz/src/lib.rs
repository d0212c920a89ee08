#![forbid(unsafe_code)]
#![deny(missing_docs)]
// A panic is what a fuzzer looks for.
#![allow(clippy::unwrap_used)]
//! What is fuzzed. Each target is a plain function: it takes any bytes, and panics when something does not hold.
//!
//! `libfuzzer/` hands them what libFuzzer makes up; the tests hand them the seeds and the committed corpora, with
//! nothing but the stable toolchain. How to run and what was found: `README.md`.

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

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its corpus, and of its program in `libfuzzer/`.
    pub name: &'static str,
    /// Panics when something does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Where a fuzzer begins: inputs that are made of the recordings and the vectors.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
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

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
