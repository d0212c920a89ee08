//! Runs the fuzz target `descriptor` with libFuzzer's inputs: capability descriptors.

#![no_main]

relayline_libfuzzer::fuzz!("descriptor");
