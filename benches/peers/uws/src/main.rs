//! Peer: uWebSockets' echo server, in the settings of its own `EchoServer` example, without
//! compression (no client here offers it) and with the message limit of the other contestants.
//!
//! With `--publish` every socket subscribes to one topic, as in its `Broadcast` example, and every
//! message is published there by the app, so that whoever sent it gets it too. `--deflate` adds that
//! example's shared compressor.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null_mut;

use libuwebsockets_sys as uws;

const PLAIN: c_int = 0;
/// In a build with OpenSSL only (`PEERS_TLS=1`).
const TLS: c_int = 1;
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
const TOPIC: &CStr = c"bench";

/// What a server does with messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Echo,
    Publish { deflates: bool },
}

fn main() {
    let words = std::env::args().skip(1).collect::<Vec<_>>();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let publish = |deflates| Task::Publish { deflates };
    match words[..] {
        ["--port", port] => serve::<PLAIN>(port, Task::Echo, None),
        ["--port", port, "--publish"] => serve::<PLAIN>(port, publish(false), None),
        ["--port", port, "--publish", "--deflate"] => serve::<PLAIN>(port, publish(true), None),
        ["--port", port, "--cert", cert, "--key", key] => {
            serve::<TLS>(port, Task::Echo, Some((cert, key)));
        }
        _ => panic!("usage: uws --port PORT [--publish [--deflate] | --cert FILE --key FILE]"),
    }
}

fn serve<const SSL: c_int>(port: &str, task: Task, files: Option<(&str, &str)>) {
    let port = port.parse::<u16>().expect("--port takes a number");
    let files =
        files.map(|(cert, key)| [cert, key].map(|name| CString::new(name).expect("a path")));
    // SAFETY: the options are plain integers and null strings, which mean "not given"; the app
    // lives until the process ends; every callback below has the signature it is declared with.
    unsafe {
        let mut options: uws::us_socket_context_options_t = std::mem::zeroed();
        if let Some([cert, key]) = &files {
            (options.cert_file_name, options.key_file_name) = (cert.as_ptr(), key.as_ptr());
        }
        let app = uws::uws_create_app(SSL, options);
        let mut behavior: uws::uws_socket_behavior_t = std::mem::zeroed();
        behavior.compression = uws::uws_compress_options_t_DISABLED;
        behavior.maxPayloadLength = MESSAGE_BYTES_MAX;
        behavior.maxBackpressure = MESSAGE_BYTES_MAX;
        behavior.idleTimeout = 120;
        behavior.sendPingsAutomatically = true;
        behavior.open = Some(ignore);
        behavior.message = Some(echo::<SSL>);
        behavior.drain = Some(ignore);
        behavior.ping = Some(ignore_control);
        behavior.pong = Some(ignore_control);
        behavior.close = Some(ignore_close);
        match task {
            Task::Echo => {}
            Task::Publish { deflates } => {
                behavior.open = Some(subscribe::<SSL>);
                behavior.message = Some(publish::<SSL, false>);
                if deflates {
                    behavior.compression = uws::uws_compress_options_t_SHARED_COMPRESSOR;
                    behavior.message = Some(publish::<SSL, true>);
                }
            }
        }
        uws::uws_ws(SSL, app, c"/*".as_ptr(), behavior, app.cast());
        let config = uws::uws_app_listen_config_t {
            port: c_int::from(port),
            host: c"127.0.0.1".as_ptr(),
            options: 0,
        };
        uws::uws_app_listen_with_config(SSL, app, config, Some(listening), null_mut());
        println!("listening on {port}");
        uws::uws_app_run(SSL, app);
    }
}

unsafe extern "C" fn subscribe<const SSL: c_int>(
    socket: *mut uws::uws_websocket_t,
    _: *mut c_void,
) {
    // SAFETY: called by the library with its own live socket; the topic has the length that is said.
    unsafe { uws::uws_ws_subscribe(SSL, socket, TOPIC.as_ptr(), TOPIC.count_bytes()) };
}

unsafe extern "C" fn publish<const SSL: c_int, const DEFLATE: bool>(
    _: *mut uws::uws_websocket_t,
    message: *const c_char,
    length: usize,
    opcode: uws::uws_opcode_t,
    app: *mut c_void,
) {
    let (topic, topic_length) = (TOPIC.as_ptr(), TOPIC.count_bytes());
    let app = app.cast();
    // SAFETY: called by the library with the app it was given, which lives until the process ends, and
    // a message of `length` bytes; the topic has the length that is said.
    unsafe {
        uws::uws_publish(
            SSL,
            app,
            topic,
            topic_length,
            message,
            length,
            opcode,
            DEFLATE,
        )
    };
}

unsafe extern "C" fn echo<const SSL: c_int>(
    socket: *mut uws::uws_websocket_t,
    message: *const c_char,
    length: usize,
    opcode: uws::uws_opcode_t,
    _: *mut c_void,
) {
    // SAFETY: called by the library with its own live socket and a message of `length` bytes.
    unsafe { uws::uws_ws_send(SSL, socket, message, length, opcode) };
}

unsafe extern "C" fn listening(
    socket: *mut uws::us_listen_socket_t,
    _: uws::uws_app_listen_config_t,
    _: *mut c_void,
) {
    assert!(!socket.is_null(), "the port is taken");
}

unsafe extern "C" fn ignore(_: *mut uws::uws_websocket_t, _: *mut c_void) {}

unsafe extern "C" fn ignore_control(
    _: *mut uws::uws_websocket_t,
    _: *const c_char,
    _: usize,
    _: *mut c_void,
) {
}

unsafe extern "C" fn ignore_close(
    _: *mut uws::uws_websocket_t,
    _: c_int,
    _: *const c_char,
    _: usize,
    _: *mut c_void,
) {
}
