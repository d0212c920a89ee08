//! Runs the fuzz target `delivery` with libFuzzer's inputs: tokens, signatures and webhook requests.

#![no_main]

relayline_libfuzzer::fuzz!("delivery");
