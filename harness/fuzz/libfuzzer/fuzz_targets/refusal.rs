//! Runs the fuzz target `refusal` with libFuzzer's inputs: responses that refuse an upgrade.

#![no_main]

relayline_libfuzzer::fuzz!("refusal");
