//! What the uWebSockets archive needs from the linker and does not say itself.

fn main() {
    // Its objects hold GCC's LTO code, which lld, Rust's default here, cannot read.
    println!("cargo:rustc-link-arg=-fuse-ld=bfd");
    // Arguments and not `rustc-link-lib`: they must come after the archive.
    println!("cargo:rustc-link-arg=-lstdc++");
    println!("cargo:rustc-link-arg=-lz");
    println!("cargo:rerun-if-env-changed=PEERS_TLS");
    if std::env::var("PEERS_TLS").is_ok_and(|value| value == "1") {
        println!("cargo:rustc-link-arg=-lssl");
        println!("cargo:rustc-link-arg=-lcrypto");
    }
}
