//! Runs the fuzz target `url` with libFuzzer's inputs: URLs to dial.

#![no_main]

relayline_libfuzzer::fuzz!("url");
