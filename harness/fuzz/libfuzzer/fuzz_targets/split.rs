//! Runs the fuzz target `split` with libFuzzer's inputs: long texts, split for a chat.

#![no_main]

relayline_libfuzzer::fuzz!("split");
