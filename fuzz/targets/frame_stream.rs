#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::ws::fuzzing::frame_stream(bytes));
