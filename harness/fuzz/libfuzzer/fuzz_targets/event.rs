#![no_main]

relayline_libfuzzer::fuzz!("event");
