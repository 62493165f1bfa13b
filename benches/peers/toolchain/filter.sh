# Runs $compiler with the arguments of uWebSockets' makefile, less OpenSSL and libuv: without
# them uSockets builds its plain sockets and its own epoll loop, the shape its authors measure. With
# PEERS_TLS=1 OpenSSL stays (libssl-dev; a target directory of its own: CARGO_TARGET_DIR).
# Adds what the authors' own build adds, tuning for a recent CPU; AVX2 and not `native`, because
# valgrind, which counts the instructions, knows no AVX-512. PEERS_MARCH says otherwise.
rest=$#
while [ "$rest" -gt 0 ]; do
    argument=$1
    shift
    rest=$((rest - 1))
    case $argument in
        -DLIBUS_USE_OPENSSL)
            case ${PEERS_TLS:-} in
                1) set -- "$@" "$argument" ;;
                *) set -- "$@" -DLIBUS_NO_SSL ;;
            esac ;;
        -DLIBUS_USE_LIBUV | -luv) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
case $(uname -m) in
    x86_64) set -- "-march=${PEERS_MARCH:-x86-64-v3}" "$@" ;;
esac
exec "$compiler" "$@"
