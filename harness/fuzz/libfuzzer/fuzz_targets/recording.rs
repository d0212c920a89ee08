//! Runs the fuzz target `recording` with libFuzzer's inputs: recordings, read, written and replayed.

#![no_main]

relayline_libfuzzer::fuzz!("recording");
