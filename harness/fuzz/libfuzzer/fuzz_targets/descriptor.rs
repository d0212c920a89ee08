#![no_main]

relayline_libfuzzer::fuzz!("descriptor");
