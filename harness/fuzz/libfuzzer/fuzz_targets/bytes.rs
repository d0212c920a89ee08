//! Runs the fuzz target `bytes` with libFuzzer's inputs: any bytes, cut anywhere, at any stage of a connection.

#![no_main]

relayline_libfuzzer::fuzz!("bytes");
