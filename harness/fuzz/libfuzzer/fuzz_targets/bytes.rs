#![no_main]

relayline_libfuzzer::fuzz!("bytes");
