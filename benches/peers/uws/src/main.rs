//! Peer: uWebSockets' echo server, in the settings of its own `EchoServer` example, without
//! compression (no client here offers it) and with the message limit of the other contestants.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

use libuwebsockets_sys as uws;

const PLAIN: c_int = 0;
const MESSAGE_BYTES_MAX: u32 = 1 << 20;

fn main() {
    let port = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [flag, port] if flag == "--port" => port.parse::<u16>().expect("--port takes a number"),
        _ => panic!("usage: uws --port PORT"),
    };
    // SAFETY: the options are plain integers and null strings, which mean "not given"; the app
    // lives until the process ends; every callback below has the signature it is declared with.
    unsafe {
        let app = uws::uws_create_app(PLAIN, std::mem::zeroed());
        let mut behavior: uws::uws_socket_behavior_t = std::mem::zeroed();
        behavior.compression = uws::uws_compress_options_t_DISABLED;
        behavior.maxPayloadLength = MESSAGE_BYTES_MAX;
        behavior.maxBackpressure = MESSAGE_BYTES_MAX;
        behavior.idleTimeout = 120;
        behavior.sendPingsAutomatically = true;
        behavior.open = Some(ignore);
        behavior.message = Some(echo);
        behavior.drain = Some(ignore);
        behavior.ping = Some(ignore_control);
        behavior.pong = Some(ignore_control);
        behavior.close = Some(ignore_close);
        uws::uws_ws(PLAIN, app, c"/*".as_ptr(), behavior, null_mut());
        let config = uws::uws_app_listen_config_t {
            port: c_int::from(port),
            host: c"127.0.0.1".as_ptr(),
            options: 0,
        };
        uws::uws_app_listen_with_config(PLAIN, app, config, Some(listening), null_mut());
        uws::uws_app_run(PLAIN, app);
    }
}

unsafe extern "C" fn echo(
    socket: *mut uws::uws_websocket_t,
    message: *const c_char,
    length: usize,
    opcode: uws::uws_opcode_t,
    _: *mut c_void,
) {
    // SAFETY: called by the library with its own live socket and a message of `length` bytes.
    unsafe { uws::uws_ws_send(PLAIN, socket, message, length, opcode) };
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
