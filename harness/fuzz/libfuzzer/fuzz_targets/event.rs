//! Runs the fuzz target `event` with libFuzzer's inputs: inbound events and their session keys.

#![no_main]

relayline_libfuzzer::fuzz!("event");
