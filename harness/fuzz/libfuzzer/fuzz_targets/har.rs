#![no_main]

relayline_libfuzzer::fuzz!("har");
