#![no_main]

relayline_libfuzzer::fuzz!("url");
