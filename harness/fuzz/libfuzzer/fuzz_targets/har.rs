//! Runs the fuzz target `har` with libFuzzer's inputs: HAR files as recordings.

#![no_main]

relayline_libfuzzer::fuzz!("har");
