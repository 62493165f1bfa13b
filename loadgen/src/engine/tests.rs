//! The fleet in a scripted world: `world` is the server, the kernel and the clock; `opening`, `talking`,
//! `ending` and `secured` are tables of what it does, and `chaos` is everything at once, in every order.

mod chaos;
mod ending;
mod opening;
mod rooms;
mod secured;
mod talking;
mod wire;
mod world;
