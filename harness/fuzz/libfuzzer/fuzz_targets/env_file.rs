//! Runs the fuzz target `env_file` with libFuzzer's inputs: values that are set in an env file.

#![no_main]

relayline_libfuzzer::fuzz!("env_file");
