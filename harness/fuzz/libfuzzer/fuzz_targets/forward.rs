//! Runs the fuzz target `forward` with libFuzzer's inputs: forwarded platform requests.

#![no_main]

relayline_libfuzzer::fuzz!("forward");
