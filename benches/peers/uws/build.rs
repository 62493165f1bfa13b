//! What the uWebSockets archive needs from the linker and does not say itself.

fn main() {
    // Its objects hold GCC's LTO code, which lld, Rust's default here, cannot read.
    println!("cargo:rustc-link-arg=-fuse-ld=bfd");
    // Arguments and not `rustc-link-lib`: they must come after the archive.
    println!("cargo:rustc-link-arg=-lstdc++");
    println!("cargo:rustc-link-arg=-lz");
}
