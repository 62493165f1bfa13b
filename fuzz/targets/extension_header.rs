#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::ws::deflate::fuzzing::extension_header(bytes));
