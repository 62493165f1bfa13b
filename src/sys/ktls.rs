//! TLS records in the kernel (Linux, module `tls`): sends and receives of the socket are plaintext from
//! then on, and `sendfile` works.
//!
//! Written against `include/uapi/linux/tls.h`. None of our machines has had a kernel with `CONFIG_TLS`
//! so far: what is tested is the layout, and that a refusal leaves the connection as it was.

use std::io;
use std::os::fd::AsFd;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;

/// The ciphers the kernel and we have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-128-GCM.
    Aes128Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    Chacha20Poly1305,
}

/// The keys of one direction of a TLS 1.3 connection.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// What they are for.
    pub cipher: Cipher,
    /// As long as the cipher has it.
    pub key: &'a [u8],
    /// The whole static IV.
    pub iv: &'a [u8; 12],
    /// Of the next record.
    pub sequence: u64,
}

/// Why the kernel does not do it.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot; the connection is as it was.
    Unsupported(io::Error),
    /// It took one direction and not the other: nobody can go on with this connection.
    Halfway(io::Error),
}

/// Whether the kernel knows TLS at all. A socket that is not connected is refused either way; if not for
/// want of the module, then the module is there.
#[cfg(target_os = "linux")]
pub fn check_available() -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    match set(&socket, libc::SOL_TCP, libc::TCP_ULP, b"tls") {
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
        other => other,
    }
}

/// No such thing here.
#[cfg(not(target_os = "linux"))]
pub fn check_available() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Hands both directions of an established TCP connection to the kernel.
#[cfg(target_os = "linux")]
pub fn install(stream: &impl AsFd, read: &Keys<'_>, write: &Keys<'_>) -> Result<(), Refusal> {
    const TLS_TX: libc::c_int = 1;
    const TLS_RX: libc::c_int = 2;
    set(stream, libc::SOL_TCP, libc::TCP_ULP, b"tls").map_err(Refusal::Unsupported)?;
    // The read side first: support for it came later, so it is what fails.
    set_keys(stream, TLS_RX, read).map_err(Refusal::Unsupported)?;
    set_keys(stream, TLS_TX, write).map_err(Refusal::Halfway)
}

/// No such thing here.
#[cfg(not(target_os = "linux"))]
pub fn install(_: &impl AsFd, _: &Keys<'_>, _: &Keys<'_>) -> Result<(), Refusal> {
    Err(Refusal::Unsupported(io::ErrorKind::Unsupported.into()))
}

#[cfg(target_os = "linux")]
fn set_keys(stream: &impl AsFd, direction: libc::c_int, keys: &Keys<'_>) -> io::Result<()> {
    let mut layout = [0; LAYOUT_BYTES_MAX];
    let length = crypto_info(keys, &mut layout);
    let result = set(stream, libc::SOL_TLS, direction, &layout[..length]);
    layout.fill(0);
    // As if somebody looked at it: otherwise the zeros need not be written.
    std::hint::black_box(&layout);
    result
}

#[cfg(target_os = "linux")]
fn set(
    stream: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which the kernel only reads; the descriptor is
    // borrowed and stays open during the call.
    unsafe {
        syscall!(setsockopt(
            stream.as_fd().as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        ))
    }?;
    Ok(())
}

/// `struct tls12_crypto_info_*` as bytes; how many there are.
///
/// GCM's IV is two fields in it, of which TLS 1.3 makes no difference: the salt is its beginning.
fn crypto_info(keys: &Keys<'_>, layout: &mut [u8; LAYOUT_BYTES_MAX]) -> usize {
    const TLS_1_3: u16 = 0x0304;
    let (number, salt_len): (u16, usize) = match keys.cipher {
        Cipher::Aes128Gcm => (51, 4),
        Cipher::Aes256Gcm => (52, 4),
        Cipher::Chacha20Poly1305 => (54, 0),
    };
    let (salt, iv) = keys.iv.split_at(salt_len);
    let (version, number) = (TLS_1_3.to_ne_bytes(), number.to_ne_bytes());
    let sequence = keys.sequence.to_be_bytes();
    let fields: [&[u8]; 6] = [&version, &number, iv, keys.key, salt, &sequence];
    let mut length = 0;
    for field in fields {
        layout[length..length + field.len()].copy_from_slice(field);
        length += field.len();
    }
    length
}

const LAYOUT_BYTES_MAX: usize = 4 + 12 + 32 + 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn keys(cipher: Cipher, key: &[u8]) -> Keys<'_> {
        Keys {
            cipher,
            key,
            iv: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            sequence: 7,
        }
    }

    #[test]
    fn the_kernel_is_told_in_its_own_layout() {
        let mut layout = [0; LAYOUT_BYTES_MAX];
        let length = crypto_info(&keys(Cipher::Aes128Gcm, &[0xAA; 16]), &mut layout);
        assert_eq!(length, 40, "sizeof(struct tls12_crypto_info_aes_gcm_128)");
        assert_eq!(
            layout[..4],
            [0x0304u16.to_ne_bytes(), 51u16.to_ne_bytes()].concat()
        );
        assert_eq!(layout[4..12], [5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(layout[12..28], [0xAA; 16]);
        assert_eq!(layout[28..32], [1, 2, 3, 4]);
        assert_eq!(layout[32..40], [0, 0, 0, 0, 0, 0, 0, 7]);
        for (cipher, number) in [(Cipher::Aes256Gcm, 52u16), (Cipher::Chacha20Poly1305, 54)] {
            let length = crypto_info(&keys(cipher, &[0xAA; 32]), &mut layout);
            assert_eq!((length, &layout[2..4]), (56, &number.to_ne_bytes()[..]));
        }
    }

    /// What is said at the start is what happens to a connection.
    #[test]
    fn the_question_has_the_answer_of_the_deed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let key = [7; 16];
        let one = keys(Cipher::Aes128Gcm, &key);
        let is_installed = install(&client, &one, &one).is_ok();
        assert_eq!(check_available().is_ok(), is_installed);
    }

    #[test]
    fn a_refusal_leaves_the_connection_as_it_was() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let key = [7; 16];
        let one = keys(Cipher::Aes128Gcm, &key);
        match install(&client, &one, &one) {
            // Where the kernel can, the other end sees a record and not the word.
            Ok(()) => {
                client.write_all(b"word").unwrap();
                let mut record = [0; 5 + 4 + 1 + 16];
                server.read_exact(&mut record).unwrap();
                assert_eq!(record[..5], [23, 3, 3, 0, 21]);
            }
            Err(Refusal::Unsupported(_)) => {
                client.write_all(b"word").unwrap();
                let mut word = [0; 4];
                server.read_exact(&mut word).unwrap();
                assert_eq!(&word, b"word");
            }
            Err(Refusal::Halfway(error)) => panic!("{error}"),
        }
    }
}
