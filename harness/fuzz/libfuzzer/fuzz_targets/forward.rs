#![no_main]

relayline_libfuzzer::fuzz!("forward");
