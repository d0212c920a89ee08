//! Runs the fuzz target `operations` with libFuzzer's inputs: sequences of any inputs of a machine.

#![no_main]

relayline_libfuzzer::fuzz!("operations");
