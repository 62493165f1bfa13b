#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::tls::fuzzing::record_layer(bytes));
