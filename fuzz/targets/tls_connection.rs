#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::tls::fuzzing::tls_connection(bytes));
